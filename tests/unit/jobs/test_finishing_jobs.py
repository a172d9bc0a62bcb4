"""Completion of jobs: by their holder, or regardless of the lease."""

import pytest

from image_gateway.jobs.store import JobStore
from image_gateway.settings import Settings
from tests.unit.jobs.job_records import Clock, leased_job, new_job, stored_item

pytestmark = pytest.mark.anyio


async def test_the_holder_finishes_a_job_once(store: JobStore, settings: Settings) -> None:
    """The record has the time of completion and no lease, so the job cannot be finished again."""
    job = await leased_job(store, "a")
    job.status = "succeeded"

    assert await store.finish(job, "a")

    stored = await store.get(job.id)
    assert stored == job
    assert stored.finished_at is not None
    assert "lease_holder" not in stored_item(settings, job)
    job.status = "failed"
    assert not await store.finish(job, "a")


async def test_only_the_holder_can_finish_a_job(store: JobStore) -> None:
    """For anyone else, the record is unchanged."""
    job = await leased_job(store, "a")
    finished = job.model_copy(update={"status": "succeeded"})

    assert not await store.finish(finished, "b")
    assert await store.get(job.id) == job


async def test_a_holder_whose_lease_was_replaced_cannot_finish_the_job(store: JobStore, clock: Clock) -> None:
    """The outcome of the first attempt does not replace that of the second."""
    job = await leased_job(store, "a", 60)
    clock.seconds += 62
    lease = await store.lease(job.id, "b", 60)
    assert lease is not None
    job.status = "failed"

    assert not await store.finish(job, "a")
    lease.job.status = "succeeded"
    assert await store.finish(lease.job, "b")


async def test_the_holder_can_put_a_job_back_into_the_queue(store: JobStore) -> None:
    """The job has no time of completion, and keeps its number of attempts."""
    job = await leased_job(store, "a")
    job.status = "queued"

    assert await store.finish(job, "a")

    lease = await store.lease(job.id, "b", 60)
    assert lease is not None
    assert (lease.job.attempts, lease.job.finished_at, lease.interrupted_engine) == (2, None, None)


async def test_a_queued_job_can_be_ended(store: JobStore) -> None:
    """After a cancellation, no worker can lease the job."""
    job = new_job()
    await store.create(job)
    job.status = "canceled"

    assert await store.end(job, expected_status="queued")

    assert await store.lease(job.id, "a", 60) is None
    stored = await store.get(job.id)
    assert stored is not None
    assert (stored.status, stored.finished_at is not None) == ("canceled", True)


async def test_a_running_job_can_be_ended_without_its_lease(store: JobStore) -> None:
    """The holder can then no longer finish it."""
    job = await leased_job(store, "a")
    canceled = job.model_copy(update={"status": "canceled"})
    job.status = "succeeded"

    assert await store.end(canceled, expected_status="running")
    assert not await store.finish(job, "a")


async def test_a_job_whose_status_has_changed_cannot_be_ended(store: JobStore) -> None:
    """The record is unchanged."""
    job = await leased_job(store, "a")
    canceled = job.model_copy(update={"status": "canceled"})
    job.status = "succeeded"
    await store.finish(job, "a")

    assert not await store.end(canceled, expected_status="running")
    assert await store.get(job.id) == job
