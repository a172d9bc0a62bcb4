"""Leases: who may run a job, and for how long."""

import asyncio

import pytest

from image_gateway.aws import Aws
from image_gateway.jobs.store import JobStore
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job, Status
from image_gateway.routing.destination import Destination
from image_gateway.settings import Settings
from tests.unit.jobs.job_records import Clock, leased_job, new_job, stored_item

pytestmark = pytest.mark.anyio


async def test_a_queued_job_can_be_leased(store: JobStore, settings: Settings) -> None:
    """It is then running on the engine of the new attempt. No earlier attempt was interrupted."""
    job = new_job()
    await store.create(job)

    lease = await store.lease(job.id, "a", 60, "comfyui")

    assert lease is not None
    assert (lease.job.status, lease.job.attempts, lease.job.engine) == ("running", 1, "comfyui")
    assert lease.interrupted_engine is None
    assert await store.get(job.id) == lease.job
    assert stored_item(settings, job)["lease_holder"]["S"] == "a"


async def test_a_running_job_cannot_be_leased_before_its_lease_expires(store: JobStore, clock: Clock) -> None:
    """The last second belongs to the holder."""
    job = await leased_job(store, "a", 60)
    clock.seconds += 60

    assert await store.lease(job.id, "b", 60) is None


async def test_a_job_can_be_leased_again_after_its_lease_has_expired(store: JobStore, clock: Clock) -> None:
    """The new lease has the engine of the interrupted attempt."""
    job = new_job()
    await store.create(job)
    await store.lease(job.id, "a", 60, "openai")
    clock.seconds += 62

    lease = await store.lease(job.id, "b", 60, "comfyui")

    assert lease is not None
    assert (lease.job.attempts, lease.interrupted_engine, lease.job.engine) == (2, "openai", "comfyui")


async def test_a_pinned_job_is_leased_only_for_where_it_went_before(store: JobStore) -> None:
    """Another worker may have put it back after a run that is still there, while this one waited for a slot."""
    job = new_job(pinned=True, route="poster", engine="comfyui", connection="gpu-2", target=1)
    await store.create(job)
    first, second = (
        Destination(engine="comfyui", model=None, config=ImagesConfig(), stored_connection=name, target=number)
        for number, name in enumerate(("gpu-1", "gpu-2"))
    )

    assert await store.lease(job.id, "a", 60, destination=first) is None
    assert await store.lease(job.id, "a", 60, destination=second)


@pytest.mark.parametrize("status", ["succeeded", "failed", "canceled"])
async def test_a_job_that_has_ended_cannot_be_leased(store: JobStore, clock: Clock, status: Status) -> None:
    """This does not change with time."""
    job = await leased_job(store, "a")
    job.status = status
    await store.finish(job, "a")
    clock.seconds += 10_000

    assert await store.lease(job.id, "b", 60) is None
    assert await store.get(job.id) == job


async def test_of_twenty_concurrent_leases_of_a_queued_job_one_succeeds(store: JobStore) -> None:
    """A message that is delivered many times runs the job once."""
    job = new_job()
    await store.create(job)

    leases = await asyncio.gather(*(store.lease(job.id, f"holder {number}", 60) for number in range(20)))

    assert len([lease for lease in leases if lease]) == 1
    stored = await store.get(job.id)
    assert stored is not None
    assert stored.attempts == 1


async def test_of_twenty_concurrent_leases_of_an_interrupted_job_one_succeeds(store: JobStore, clock: Clock) -> None:
    """An expired lease is replaced once."""
    job = await leased_job(store, "a", 60)
    clock.seconds += 62

    leases = await asyncio.gather(*(store.lease(job.id, f"holder {number}", 60) for number in range(20)))

    assert len([lease for lease in leases if lease]) == 1


async def test_a_lease_fails_if_the_job_was_leased_and_put_back_in_between(
    settings: Settings, aws: Aws, clock: Clock
) -> None:
    """The job's status is the same as before. Its attempts are not, and none of them must be lost."""
    store = JobStore(aws, settings, clock=clock)
    job = new_job()
    await store.create(job)

    class SlowStore(JobStore):
        """A store that returns the job after another holder has leased it and put it back."""

        async def get(self, job_id: str) -> Job | None:
            earlier = await super().get(job_id)
            lease = await store.lease(job_id, "fast", 60)
            assert lease
            lease.job.status = "queued"
            await store.finish(lease.job, "fast")
            return earlier

    assert await SlowStore(aws, settings, clock=clock).lease(job.id, "slow", 60) is None

    stored = await store.get(job.id)
    assert stored
    assert (stored.status, stored.attempts) == ("queued", 1)
