"""Watching running jobs for cancellation, with moto's table and a clock that the tests control."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import Canceled, StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from image_gateway.worker.cancel_watch import POLL_SECONDS, CancelWatch
from tests.polling import DEADLINE_SECONDS

if TYPE_CHECKING:
    from image_gateway.jobs.engine_cancellation import EngineCanceler

pytestmark = pytest.mark.anyio


class RecordingCanceler:
    """Records the ids of the jobs whose runs it should stop."""

    def __init__(self) -> None:
        self.job_ids: list[str] = []

    async def cancel(self, job: Job) -> None:
        self.job_ids.append(job.id)


class ManualClock:
    """Records the requested sleeps. They all last until the test sets `may_pass`, and no time after that."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []
        self.may_pass = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await self.may_pass.wait()


@pytest.fixture
def jobs(settings: Settings, aws: Aws) -> JobStore:
    return JobStore(aws, settings)


@pytest.fixture
def canceler() -> RecordingCanceler:
    return RecordingCanceler()


def create_watch(jobs: JobStore, canceler: RecordingCanceler) -> tuple[CancelWatch, ManualClock]:
    clock = ManualClock()
    return CancelWatch(jobs, cast("EngineCanceler", canceler), sleep=clock.sleep), clock


async def create_running_job(jobs: JobStore, engine: str = "comfyui") -> Job:
    job = Job(id=new_job_id(), kind="generation", owner="token:1", engine=engine)
    await jobs.create(job, lease_seconds=60, holder="h")
    return job


async def cancel(jobs: JobStore, job: Job) -> None:
    await jobs.end(job.model_copy(update={"status": "canceled"}), expected_status="running")


@pytest.mark.parametrize("engine", ["comfyui", "automatic1111"])
async def test_canceling_a_job_cancels_the_block_and_then_stops_the_run(
    jobs: JobStore, canceler: RecordingCanceler, engine: str
) -> None:
    """The block has ended, with its cleanup, before the job's run at the engine is stopped."""
    cancel_watch, clock = create_watch(jobs, canceler)
    job = await create_running_job(jobs, engine)
    stopped_at_cleanup = []

    async def watched_work() -> None:
        async with cancel_watch.watch(job):
            await cancel(jobs, job)
            clock.may_pass.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped_at_cleanup.append(list(canceler.job_ids))

    with pytest.raises(Canceled, match=job.id):
        await asyncio.wait_for(watched_work(), DEADLINE_SECONDS)

    assert stopped_at_cleanup == [[]]
    assert canceler.job_ids == [job.id]


async def test_watching_ends_with_the_block(jobs: JobStore, canceler: RecordingCanceler) -> None:
    """The record is read every two seconds, for the first time after two seconds, so that most jobs cost no read."""
    cancel_watch, clock = create_watch(jobs, canceler)
    job = await create_running_job(jobs)
    tasks_before = asyncio.all_tasks()

    async with cancel_watch.watch(job):
        await asyncio.sleep(0)

    assert clock.sleeps == [POLL_SECONDS]
    assert canceler.job_ids == []
    assert asyncio.all_tasks() == tasks_before


async def test_errors_of_the_block_are_raised_unchanged(jobs: JobStore, canceler: RecordingCanceler) -> None:
    """Neither an error of the block nor a `TimeoutError` of another timeout counts as a cancellation."""
    cancel_watch, _clock = create_watch(jobs, canceler)
    job = await create_running_job(jobs)

    with pytest.raises(StorageUnavailable):
        async with cancel_watch.watch(job):
            raise StorageUnavailable("the table fails")
    with pytest.raises(TimeoutError):
        async with cancel_watch.watch(job):
            raise TimeoutError


async def test_a_timeout_of_the_worker_does_not_stop_the_run(jobs: JobStore, canceler: RecordingCanceler) -> None:
    """The next attempt should find the run."""
    cancel_watch, _clock = create_watch(jobs, canceler)
    job = await create_running_job(jobs)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), cancel_watch.watch(job):
            await asyncio.Event().wait()

    assert canceler.job_ids == []


async def test_a_failing_table_does_not_cancel_the_block(
    jobs: JobStore, canceler: RecordingCanceler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is read again, and a cancellation that is read later takes effect."""
    cancel_watch, clock = create_watch(jobs, canceler)
    job = await create_running_job(jobs)
    get = jobs.get

    async def fail_at_first(job_id: str) -> Any:
        if len(clock.sleeps) < 3:
            raise StorageUnavailable("the table fails")
        return await get(job_id)

    monkeypatch.setattr(jobs, "get", fail_at_first)
    await cancel_watch.check(job)

    async def watched_work() -> None:
        async with cancel_watch.watch(job):
            await cancel(jobs, job)
            clock.may_pass.set()
            await asyncio.Event().wait()

    with pytest.raises(Canceled):
        await asyncio.wait_for(watched_work(), DEADLINE_SECONDS)

    assert len(clock.sleeps) == 3


async def test_a_block_on_an_engine_that_cannot_be_stopped_is_not_canceled(
    jobs: JobStore, canceler: RecordingCanceler
) -> None:
    """Its run continues and is paid, so its images are stored. A check before the engine is called can prevent that."""
    cancel_watch, clock = create_watch(jobs, canceler)
    job = await create_running_job(jobs, "openai")

    async with cancel_watch.watch(job):
        await cancel_watch.check(job)
        await cancel(jobs, job)

    assert clock.sleeps == []
    with pytest.raises(Canceled, match=job.id):
        await cancel_watch.check(job)
