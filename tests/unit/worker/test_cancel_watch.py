"""Watching jobs that run: the table is moto's, time passes when a test says so, and what is stopped is remembered."""

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

if TYPE_CHECKING:
    from image_gateway.jobs.engine_cancellation import EngineCanceler

pytestmark = pytest.mark.anyio


class Stops:
    """Remembers the jobs that were stopped."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    async def cancel(self, job: Job) -> None:
        self.jobs.append(job.id)


class Time:
    """Remembers how long is waited for each time, and passes at once as soon as it may."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.may_pass = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await self.may_pass.wait()


@pytest.fixture
def jobs(settings: Settings, aws: Aws) -> JobStore:
    return JobStore(aws, settings)


@pytest.fixture
def stops() -> Stops:
    return Stops()


def watching(jobs: JobStore, stops: Stops) -> tuple[CancelWatch, Time]:
    time = Time()
    return CancelWatch(jobs, cast("EngineCanceler", stops), sleep=time.sleep), time


async def running(jobs: JobStore, engine: str = "comfyui") -> Job:
    job = Job(id=new_job_id(), kind="generation", owner="token:1", engine=engine)
    await jobs.create(job, lease_seconds=60, holder="h")
    return job


async def cancel(jobs: JobStore, job: Job) -> None:
    await jobs.end(job.model_copy(update={"status": "canceled"}), expected_status="running")


@pytest.mark.parametrize("engine", ["comfyui", "automatic1111"])
async def test_work_at_a_canceled_job_is_cancelled_and_what_it_runs_is_stopped(
    jobs: JobStore, stops: Stops, engine: str
) -> None:
    """The work has ended, with all that it does to leave off, before its runs are stopped by the job's id."""
    cancel_watch, time = watching(jobs, stops)
    job = await running(jobs, engine)
    left_off = []

    async def work() -> None:
        async with cancel_watch.watch(job):
            await cancel(jobs, job)
            time.may_pass.set()
            try:
                await asyncio.Event().wait()
            finally:
                left_off.append(list(stops.jobs))

    with pytest.raises(Canceled, match=job.id):
        await asyncio.wait_for(work(), 5)

    assert left_off == [[]]
    assert stops.jobs == [job.id]


async def test_work_that_ends_is_watched_no_more(jobs: JobStore, stops: Stops) -> None:
    """Its looks are two seconds apart, and the first comes after two: most jobs are not looked at at all."""
    cancel_watch, time = watching(jobs, stops)
    job = await running(jobs)
    before = asyncio.all_tasks()

    async with cancel_watch.watch(job):
        await asyncio.sleep(0)

    assert time.waits == [POLL_SECONDS]
    assert stops.jobs == []
    assert asyncio.all_tasks() == before


async def test_what_goes_wrong_with_the_work_is_told_as_it_is(jobs: JobStore, stops: Stops) -> None:
    """Its errors, and a `TimeoutError` of somebody else's, are no cancellation."""
    cancel_watch, _time = watching(jobs, stops)
    job = await running(jobs)

    with pytest.raises(StorageUnavailable):
        async with cancel_watch.watch(job):
            raise StorageUnavailable("away")
    with pytest.raises(TimeoutError):
        async with cancel_watch.watch(job):
            raise TimeoutError


async def test_a_worker_whose_own_time_is_up_stops_nothing(jobs: JobStore, stops: Stops) -> None:
    """The next attempt is to find the run."""
    cancel_watch, _time = watching(jobs, stops)
    job = await running(jobs)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), cancel_watch.watch(job):
            await asyncio.Event().wait()

    assert stops.jobs == []


async def test_a_table_that_does_not_answer_changes_nothing(
    jobs: JobStore, stops: Stops, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again, and what it then says holds."""
    cancel_watch, time = watching(jobs, stops)
    job = await running(jobs)
    get = jobs.get

    async def falter(job_id: str) -> Any:
        if len(time.waits) < 3:
            raise StorageUnavailable("planted")
        return await get(job_id)

    monkeypatch.setattr(jobs, "get", falter)
    await cancel_watch.check(job)

    async def work() -> None:
        async with cancel_watch.watch(job):
            await cancel(jobs, job)
            time.may_pass.set()
            await asyncio.Event().wait()

    with pytest.raises(Canceled):
        await asyncio.wait_for(work(), 5)

    assert len(time.waits) == 3


async def test_an_engine_that_cannot_be_stopped_is_waited_for(jobs: JobStore, stops: Stops) -> None:
    """It goes on and is paid, so its images may as well be stored; before it is asked, a look can spare that."""
    cancel_watch, time = watching(jobs, stops)
    job = await running(jobs, "openai")

    async with cancel_watch.watch(job):
        await cancel_watch.check(job)
        await cancel(jobs, job)

    assert time.waits == []
    with pytest.raises(Canceled, match=job.id):
        await cancel_watch.check(job)
