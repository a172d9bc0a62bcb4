"""Cancellation of jobs: the table is moto's, the engine a fake."""

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.types import ASGIApp

from image_gateway.container import Gateway
from image_gateway.errors import Busy, Conflict, EngineUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.cancellation import Cancellation
from image_gateway.jobs.settlement import Settlement
from image_gateway.jobs.store import JobStore
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination
from sandbox.engines.automatic1111 import create_app
from sandbox.engines.state import SandboxState
from tests.polling import DEADLINE_SECONDS
from tests.silent_server import FACTOR, seconds_until_done, silent_server
from tests.unit.jobs.submission_fakes import FakeEvents, FakeQueue

if TYPE_CHECKING:
    from image_gateway.jobs.engine_factory import EngineFactory
    from image_gateway.jobs.events import JobEvents
    from image_gateway.jobs.job_queue import JobQueue

pytestmark = pytest.mark.anyio


class FakeEngine:
    """Stops runs at once, with an error, or never. Records the ids of jobs."""

    def __init__(self) -> None:
        self.stopped: list[str] = []
        self.error: Exception | None = None
        self.hangs = False

    async def cancel(self, job_id: str) -> None:
        self.stopped.append(job_id)
        if self.error:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()


class FakeEngineFactory:
    """Returns the same engine each time, and records the arguments."""

    def __init__(self) -> None:
        self.engine: object = FakeEngine()
        self.calls: list[tuple[str, bool]] = []

    def __call__(self, destination: Destination) -> object:
        self.calls.append((destination.engine, destination.edit))
        return self.engine


@pytest.fixture
def engines() -> FakeEngineFactory:
    return FakeEngineFactory()


@pytest.fixture
def cancellation(
    gateway: Gateway, jobs: JobStore, engines: FakeEngineFactory, events: FakeEvents, queue: FakeQueue
) -> Cancellation:
    return Cancellation(
        jobs=jobs,
        router=gateway.router,
        engine=cast("EngineFactory", engines),
        announcements=Announcements(jobs, cast("JobEvents", events), Settlement(jobs, None)),
        queue=cast("JobQueue", queue),
        engine_timeout_seconds=0.05,
    )


async def create_job(jobs: JobStore, *, running: bool, engine: str = "comfyui") -> Job:
    job = Job(id=new_job_id(), kind="edit", owner="token:1", engine=engine, reserved=100_000)
    await jobs.create(job, lease_seconds=60 if running else None, holder="h")
    return job


async def test_a_queued_job_is_canceled(
    cancellation: Cancellation, jobs: JobStore, engines: FakeEngineFactory, events: FakeEvents
) -> None:
    """The cancellation is recorded and published. No engine is called for a job that never ran."""
    job = await create_job(jobs, running=False)

    canceled = await cancellation.cancel(job)

    assert canceled == await jobs.get(job.id)
    assert (canceled.status, canceled.error and canceled.error.status) == ("canceled", 409)
    assert canceled.finished_at is not None
    assert events.published == [(job.id, "canceled")]
    assert engines.calls == []


async def test_a_running_job_is_stopped_at_its_engine(
    cancellation: Cancellation, jobs: JobStore, engines: FakeEngineFactory
) -> None:
    """The engine is the one of the job, with the configuration for edits."""
    job = await create_job(jobs, running=True)

    await cancellation.cancel(job)

    assert engines.calls == [("comfyui", True)]
    assert isinstance(engines.engine, FakeEngine)
    assert engines.engine.stopped == [job.id]


async def test_a_queued_job_that_has_run_before_is_stopped_at_its_engine(
    cancellation: Cancellation, jobs: JobStore, engines: FakeEngineFactory
) -> None:
    """Its last attempt may have left a run there, which the next attempt would find."""
    job = await create_job(jobs, running=True)
    job.status = "queued"
    await jobs.finish(job, "h")

    await cancellation.cancel(job)

    assert isinstance(engines.engine, FakeEngine)
    assert engines.engine.stopped == [job.id]


@pytest.mark.parametrize(
    ("engine", "status", "uncertain"),
    [
        ("openai", "running", "0.1"),
        ("openai", "queued", None),
        ("comfyui", "running", "0.1"),
        ("comfyui", "queued", "0.1"),
    ],
)
async def test_what_a_canceled_job_may_have_cost_is_uncertain(
    cancellation: Cancellation, jobs: JobStore, engine: str, status: str, uncertain: str | None
) -> None:
    """That is a running one, and one that has left a run at its engine. Before that, it costs nothing."""
    untried = await cancellation.cancel(await create_job(jobs, running=False, engine=engine))
    job = await create_job(jobs, running=True, engine=engine)
    job.status = status
    await jobs.finish(job, "h")

    canceled = await cancellation.cancel(job)

    assert untried.uncertain_usd is None
    assert canceled.uncertain_usd == (Decimal(uncertain) if uncertain else None)


async def test_a_server_that_cannot_identify_the_jobs_run_is_not_called(
    gateway: Gateway,
    cancellation: Cancellation,
    jobs: JobStore,
    engines: FakeEngineFactory,
    serve: Callable[[ASGIApp], str],
) -> None:
    """AUTOMATIC1111 would stop whatever it runs. Only the holder of its slot knows that this is the job."""
    a1111 = SandboxState()
    config = ImagesConfig(AUTOMATIC1111_BASE_URL=serve(create_app(a1111)))
    engines.engine = gateway.engines.create("automatic1111", config)
    job = await create_job(jobs, running=True)

    await cancellation.cancel(job)

    assert engines.calls == [("comfyui", True)]
    assert a1111.record == []
    await gateway.aclose()


@pytest.mark.parametrize("batch", [None, "a-file"])
async def test_the_worker_gets_a_canceled_line_of_a_request_file(
    cancellation: Cancellation, jobs: JobStore, queue: FakeQueue, batch: str | None
) -> None:
    """If it was the last line, the worker writes the results. No other canceled job is sent to the worker."""
    job = Job(id=new_job_id(), kind="generation", owner="event:s3", batch=batch, line=1 if batch else None)
    await jobs.create(job)

    await cancellation.cancel(job)

    assert queue.sent == ([job.id] if batch else [])
    assert queue.owners == ({"event:s3"} if batch else set())


async def test_a_line_is_canceled_even_if_the_queue_fails(
    cancellation: Cancellation, jobs: JobStore, queue: FakeQueue
) -> None:
    """The line's own message completes the file later. An error would report that the line was not canceled."""
    job = Job(id=new_job_id(), kind="generation", owner="event:s3", batch="a-file", line=1)
    await jobs.create(job)
    queue.fails = True

    assert (await cancellation.cancel(job)).status == "canceled"


async def test_a_silent_parameter_store_delays_a_cancellation_no_longer_than_an_engine(
    cancellation: Cancellation, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is canceled before its engine is called."""
    job = await create_job(jobs, running=True)
    async with silent_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
        monkeypatch.delenv(FACTOR, raising=False)
        seconds = await seconds_until_done(cancellation.cancel(job))

    assert seconds < 4
    stored = await jobs.get(job.id)
    assert stored
    assert stored.status == "canceled"


@pytest.mark.parametrize("case", ["error", "hangs", "cannot"])
async def test_a_job_is_canceled_even_if_its_engine_does_not_stop_it(
    cancellation: Cancellation,
    jobs: JobStore,
    engines: FakeEngineFactory,
    events: FakeEvents,
    caplog: pytest.LogCaptureFixture,
    case: str,
) -> None:
    """The engine has limited time, and its failure is logged."""
    engine = FakeEngine()
    engine.error = EngineUnavailable("away") if case == "error" else None
    engine.hangs = case == "hangs"
    engines.engine = object() if case == "cannot" else engine
    job = await create_job(jobs, running=True)

    with caplog.at_level(logging.WARNING):
        canceled = await asyncio.wait_for(cancellation.cancel(job), DEADLINE_SECONDS)

    assert canceled.status == "canceled"
    assert events.published == [(job.id, "canceled")]
    assert ("not stopped" in caplog.text) is (case != "cannot")


async def test_a_job_that_started_in_between_is_stopped_at_its_engine(
    cancellation: Cancellation, jobs: JobStore, engines: FakeEngineFactory
) -> None:
    """The job was queued when it was read, and is running when the cancellation is written."""
    job = await create_job(jobs, running=False)
    assert await jobs.lease(job.id, "h", 60, "automatic1111")

    canceled = await cancellation.cancel(job)

    assert (canceled.status, canceled.attempts) == ("canceled", 1)
    assert engines.calls == [("automatic1111", True)]


async def test_a_job_that_ended_in_between_cannot_be_canceled(
    cancellation: Cancellation, jobs: JobStore, events: FakeEvents
) -> None:
    """Its record is unchanged, and no other completion is published."""
    job = await create_job(jobs, running=True)
    ended = job.model_copy(update={"status": "succeeded"})
    await jobs.finish(ended, "h")

    with pytest.raises(Conflict, match="succeeded"):
        await cancellation.cancel(job)

    assert (await jobs.get(job.id)) == ended
    assert events.published == []


async def test_a_job_whose_status_keeps_changing_is_busy(
    cancellation: Cancellation, jobs: JobStore, events: FakeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was changed, and the caller can try again."""

    async def fail_condition(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr(jobs, "end", fail_condition)
    job = await create_job(jobs, running=True)

    with pytest.raises(Busy):
        await cancellation.cancel(job)

    assert events.published == []
