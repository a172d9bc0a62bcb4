"""Writes whose first response is lost: they are sent again, and recognize their own first write."""

from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.aws.locks import Locks
from image_gateway.ids import new_job_id
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from image_gateway.slots.occupancy import Holder
from image_gateway.slots.store import SlotStore, Taken
from tests.lossy_transport import LossyTransport

pytestmark = pytest.mark.anyio


async def _no_sleep(_seconds: float) -> None:
    """Return at once."""


@pytest.fixture
def transport() -> LossyTransport:
    return LossyTransport()


@pytest.fixture
def lossy_aws(transport: LossyTransport, embedded_aws: object) -> Aws:
    """A client over the lossy transport."""
    return Aws(lambda: transport, sleep=_no_sleep)


@pytest.fixture
def store(settings: Settings, lossy_aws: Aws) -> JobStore:
    return JobStore(lossy_aws, settings)


def new_job(**fields: Any) -> Job:
    return Job.model_validate({"id": new_job_id(), "kind": "generation", "owner": "token:1", **fields})


async def test_a_stored_job_is_new_after_a_lost_response(store: JobStore, transport: LossyTransport) -> None:
    """The job is not mistaken for an earlier one with its id, which would not be started."""
    transport.losses = 1
    assert await store.create(new_job()) is None


async def test_a_leased_job_is_leased_after_a_lost_response(store: JobStore, transport: LossyTransport) -> None:
    """The holder gets its lease. Otherwise nobody would run the job, and it would end as interrupted."""
    job = new_job()
    await store.create(job)
    transport.losses = 1
    lease = await store.lease(job.id, "a", 60)
    assert lease is not None
    assert await store.lease(job.id, "b", 60) is None


async def test_a_requeued_job_is_queued_after_a_lost_response(store: JobStore, transport: LossyTransport) -> None:
    """The holder learns that it requeued the job. Otherwise it would send no message, and the job would stay queued."""
    job = new_job()
    await store.create(job, lease_seconds=60, holder="a")
    job.status = "queued"
    transport.losses = 1
    assert await store.finish(job, "a")
    assert (await store.get(job.id)) == job


@pytest.mark.parametrize("batch", [None, "01a20491-ab0f-7093-a163-39a8e11f4e95"])
async def test_a_finished_job_is_finished_after_a_lost_response(
    store: JobStore, transport: LossyTransport, batch: str | None
) -> None:
    """The holder may finish the job again with the same result, and then sends the event; another result is refused."""
    job = new_job(batch=batch, line=1 if batch else None)
    await store.create(job, lease_seconds=60, holder="a")
    job.status = "succeeded"
    transport.losses = 1
    assert await store.finish(job, "a")
    assert await store.finish(job, "a")
    job.warnings = ["another result"]
    assert not await store.finish(job, "a")


async def test_a_canceled_job_is_canceled_after_a_lost_response(store: JobStore, transport: LossyTransport) -> None:
    """The caller learns that its cancellation succeeded, not that somebody else canceled the job."""
    job = new_job()
    await store.create(job)
    job.status = "canceled"
    transport.losses = 1
    assert await store.end(job, expected_status="queued")


async def test_an_acquired_lock_is_held_after_a_lost_response(
    settings: Settings, lossy_aws: Aws, transport: LossyTransport
) -> None:
    """The holder has the lock and releases it. Otherwise nobody could have it until the lease expires."""
    locks = Locks(lossy_aws, settings, sleep=_no_sleep)
    transport.losses = 1
    async with locks.hold("config", max_wait_seconds=-1):
        pass
    async with locks.hold("config", max_wait_seconds=-1):
        pass


@pytest.mark.parametrize("is_first_use", [True, False])
async def test_a_slot_is_taken_after_a_lost_response(
    settings: Settings, lossy_aws: Aws, transport: LossyTransport, *, is_first_use: bool
) -> None:
    """The holder has the slot. Otherwise nobody could have it until the lease expires."""
    slots = SlotStore(lossy_aws, settings)
    if not is_first_use:
        await slots.take("server", 1, Holder("b", "token:1", "job-b", slots.now(), slots.now(), 1, slots.now() + 60))
        await slots.release("server", "b", 1.0)
    transport.losses = 1

    taken = await slots.take(
        "server", 1, Holder("a", "token:1", "job-a", slots.now(), slots.now(), 1, slots.now() + 60)
    )

    assert isinstance(taken, Taken)
    assert [holder.id for holder in taken.occupancy.holders] == ["a"]
