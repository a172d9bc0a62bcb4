"""Canceling jobs: the table is moto's, the engine a stand-in."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from starlette.types import ASGIApp

from image_gateway.aws import Aws
from image_gateway.config.store import ConfigStore
from image_gateway.container import Gateway
from image_gateway.errors import Busy, Conflict, EngineUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.cancellation import Cancellation
from image_gateway.jobs.store import JobStore
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from sandbox.engines.automatic1111 import create_app
from sandbox.engines.state import SandboxState

if TYPE_CHECKING:
    from image_gateway.jobs.engine_factory import EngineFactory
    from image_gateway.jobs.events import JobEvents
    from image_gateway.jobs.job_queue import JobQueue

pytestmark = pytest.mark.anyio


class Engine:
    """Can stop runs: at once, never, or with an error."""

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


class Engines:
    """Makes the one engine there is, and remembers what for."""

    def __init__(self) -> None:
        self.engine: object = Engine()
        self.made: list[tuple[str, bool]] = []

    def __call__(self, name: str, _config: Any, *, edit: bool = False) -> object:
        self.made.append((name, edit))
        return self.engine


class Queue:
    """Remembers which jobs the worker is to look at."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, job_id: str) -> None:
        self.sent.append(job_id)


class Events:
    """Remembers how jobs ended."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, str]] = []

    async def publish_completion(self, job: Job) -> None:
        self.reported.append((job.id, job.status))


@pytest.fixture
def jobs(settings: Settings, aws: Aws) -> JobStore:
    return JobStore(aws, settings)


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def cancellation(gateway: Gateway, jobs: JobStore, engines: Engines, events: Events, queue: Queue) -> Cancellation:
    return made(jobs, gateway.configs, engines, events, queue)


def made(jobs: JobStore, configs: ConfigStore, engines: Engines, events: Events, queue: Queue) -> Cancellation:
    return Cancellation(
        jobs=jobs,
        configs=configs,
        engine=cast("EngineFactory", engines),
        events=cast("JobEvents", events),
        queue=cast("JobQueue", queue),
        engine_timeout_seconds=0.05,
    )


async def stored(jobs: JobStore, *, running: bool) -> Job:
    job = Job(id=new_job_id(), kind="edit", owner="token:1", engine="comfyui")
    await jobs.create(job, lease_seconds=60 if running else None, holder="h")
    return job


async def test_a_queued_job_is_canceled(
    cancellation: Cancellation, jobs: JobStore, engines: Engines, events: Events
) -> None:
    """The table says so, those who listen are told, and no engine is asked for what never began."""
    job = await stored(jobs, running=False)

    canceled = await cancellation.cancel(job)

    assert canceled == await jobs.get(job.id)
    assert (canceled.status, canceled.error and canceled.error.status) == ("canceled", 409)
    assert canceled.finished_at is not None
    assert events.reported == [(job.id, "canceled")]
    assert engines.made == []


async def test_a_running_job_is_stopped_at_its_engine(
    cancellation: Cancellation, jobs: JobStore, engines: Engines
) -> None:
    """By the engine it was given to, under what is set for edits."""
    job = await stored(jobs, running=True)

    await cancellation.cancel(job)

    assert engines.made == [("comfyui", True)]
    assert isinstance(engines.engine, Engine)
    assert engines.engine.stopped == [job.id]


async def test_a_job_that_waits_for_another_attempt_is_stopped_too(
    cancellation: Cancellation, jobs: JobStore, engines: Engines
) -> None:
    """Its last attempt may have left a run at the engine, to be found again."""
    job = await stored(jobs, running=True)
    job.status = "queued"
    await jobs.finish(job, "h")

    await cancellation.cancel(job)

    assert isinstance(engines.engine, Engine)
    assert engines.engine.stopped == [job.id]


async def test_a_server_that_knows_no_jobs_is_not_asked(
    gateway: Gateway, jobs: JobStore, events: Events, serve: Callable[[ASGIApp], str]
) -> None:
    """AUTOMATIC1111 would stop whatever it makes: only who holds its place knows that this is the job's."""
    a1111 = SandboxState()
    config = ImagesConfig(AUTOMATIC1111_BASE_URL=serve(create_app(a1111)))
    engines = Engines()
    engines.engine = gateway.engine("automatic1111", config)
    job = await stored(jobs, running=True)

    await made(jobs, gateway.configs, engines, events, Queue()).cancel(job)

    assert engines.made == [("comfyui", True)]
    assert a1111.record == []
    await gateway.aclose()


@pytest.mark.parametrize("batch", [None, "a-file"])
async def test_the_worker_looks_at_a_file_whose_line_was_canceled(
    cancellation: Cancellation, jobs: JobStore, queue: Queue, batch: str | None
) -> None:
    """It may have been the last line, and the results are the worker's to write; any other job needs no look."""
    job = Job(id=new_job_id(), kind="generation", owner="event:s3", batch=batch, line=1 if batch else None)
    await jobs.create(job)

    await cancellation.cancel(job)

    assert queue.sent == ([job.id] if batch else [])


@pytest.mark.parametrize("case", ["error", "hangs", "cannot"])
async def test_an_engine_that_does_not_stop_changes_nothing(
    cancellation: Cancellation,
    jobs: JobStore,
    engines: Engines,
    events: Events,
    caplog: pytest.LogCaptureFixture,
    case: str,
) -> None:
    """The job is canceled all the same, in bounded time; what went wrong is logged."""
    engine = Engine()
    engine.error = EngineUnavailable("away") if case == "error" else None
    engine.hangs = case == "hangs"
    engines.engine = object() if case == "cannot" else engine
    job = await stored(jobs, running=True)

    with caplog.at_level(logging.WARNING):
        canceled = await asyncio.wait_for(cancellation.cancel(job), 5)

    assert canceled.status == "canceled"
    assert events.reported == [(job.id, "canceled")]
    assert ("not stopped" in caplog.text) is (case != "cannot")


async def test_a_job_that_began_meanwhile_is_stopped_too(
    cancellation: Cancellation, jobs: JobStore, engines: Engines
) -> None:
    """What was queued when it was read may be running when it is written."""
    job = await stored(jobs, running=False)
    assert await jobs.lease(job.id, "h", 60, "automatic1111")

    canceled = await cancellation.cancel(job)

    assert (canceled.status, canceled.attempts) == ("canceled", 1)
    assert engines.made == [("automatic1111", True)]


async def test_a_job_that_ended_meanwhile_is_a_conflict(
    cancellation: Cancellation, jobs: JobStore, events: Events
) -> None:
    """Its end stands, and nobody is told of another."""
    job = await stored(jobs, running=True)
    ended = job.model_copy(update={"status": "succeeded"})
    await jobs.finish(ended, "h")

    with pytest.raises(Conflict, match="succeeded"):
        await cancellation.cancel(job)

    assert (await jobs.get(job.id)) == ended
    assert events.reported == []


async def test_a_job_that_changes_all_the_while_is_busy(
    gateway: Gateway, jobs: JobStore, engines: Engines, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller may try again; nothing was changed."""

    async def refuse(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr(jobs, "end", refuse)
    job = await stored(jobs, running=True)

    with pytest.raises(Busy):
        await made(jobs, gateway.configs, engines, events, Queue()).cancel(job)

    assert events.reported == []
