"""Jobs that are canceled, too slow or lost on their way, on engines that the worker can stop or ask again."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.aws import AwsError
from image_gateway.container import Gateway
from image_gateway.engines.automatic1111 import stop
from image_gateway.errors import StorageUnavailable
from image_gateway.event_loop import run
from image_gateway.jobs.cancellation import Cancellation
from sandbox.engines.comfyui import create_app as create_comfyui
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import Fault, SandboxState
from tests.integration.messages import WorkerDeployment, deploy_worker
from tests.integration.test_worker_function import generate_with, left_behind, queued, requested
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.conftest import Deployment

Serve = Callable[[ASGIApp], str]


@pytest.fixture
def worker(generating: "Deployment") -> Iterator[WorkerDeployment]:
    """A worker for the engine that a test configures."""
    made = deploy_worker(generating.gateway)
    yield made
    run(made.gateway.aclose())


@pytest.fixture
def a1111(generating: "Deployment", serve: Serve) -> SandboxState:
    """An AUTOMATIC1111 server that the deployment generates with."""
    return generate_with(generating, serve, "automatic1111", IMAGE_ENGINE_TIMEOUT=20)


@pytest.fixture
def comfyui(generating: "Deployment", serve: Serve) -> SandboxState:
    """A ComfyUI server that the deployment generates with."""
    return generate_with(generating, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"), IMAGE_ENGINE_TIMEOUT=20)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a cancellation be seen in no time."""
    monkeypatch.setattr("image_gateway.worker.cancel_watch.POLL_SECONDS", 0.05)


def deliver(worker: WorkerDeployment) -> None:
    """Deliver what is queued, once."""
    worker.deliver(*(message.record for message in worker.drain()))


async def away(*_: Any, **__: Any) -> None:
    """An S3 that does not answer."""
    raise AwsError("ServiceUnavailable", status=503)


async def cancel(worker: WorkerDeployment, job_id: str) -> None:
    """Cancel a job as the jobs function does: in another process."""
    other = Gateway(worker.gateway.settings, worker.gateway.aws)
    cancellation = Cancellation(
        jobs=other.jobs, configs=other.configs, engine=other.engine, events=other.events, queue=other.queue
    )
    job = await other.jobs.get(job_id)
    assert job
    await cancellation.cancel(job)
    await other.aclose()


# AUTOMATIC1111.


def test_a_job_that_is_too_slow_is_no_burden_for_the_next(
    worker: WorkerDeployment, a1111: SandboxState, handlers_time: LoopTime
) -> None:
    """The server is free when its place is: those after it neither wait inside the server nor fail for it."""
    a1111.knobs.latency = LONG
    (slow,) = queued(worker)

    def run_out_of_time() -> None:
        wait_until(lambda: requested(a1111, "/txt2img") == 1)
        handlers_time.advance(20)

    with meanwhile(run_out_of_time):
        worker.work_off()
    a1111.knobs.latency = 0
    quick = queued(worker, 4)
    worker.work_off()

    error = worker.job(slow).error
    assert error
    assert (worker.job(slow).status, error.code, error.may_have_cost) == ("failed", "engine_timeout", True)
    assert [(worker.job(one).status, worker.job(one).attempts) for one in quick] == [("succeeded", 1)] * 4
    assert requested(a1111, "/interrupt") == 1


@pytest.mark.usefixtures("soon")
def test_a_canceled_job_is_stopped_by_its_holder(worker: WorkerDeployment, a1111: SandboxState) -> None:
    """It interrupts the server while it still has the place, so the next job is whole."""
    a1111.knobs.latency = LONG
    (canceled,) = queued(worker)

    def cancel_it() -> None:
        wait_until(lambda: requested(a1111, "/txt2img") == 1)
        asyncio.run(cancel(worker, canceled))

    with meanwhile(cancel_it):
        deliver(worker)
    a1111.knobs.latency = 0
    (other,) = queued(worker)
    worker.work_off()

    assert (worker.job(canceled).status, worker.job(other).status) == ("canceled", "succeeded")
    assert requested(a1111, "/interrupt") == 1
    assert len(worker.keys("images/")) == 1


def test_canceling_a_job_whose_holder_died_hits_nobody_else(worker: WorkerDeployment, a1111: SandboxState) -> None:
    """The server is at another job by then."""
    a1111.knobs.latency = LONG
    dead = left_behind(worker, "automatic1111")
    worker.drain()
    (other,) = queued(worker)

    def cancel_the_dead() -> None:
        wait_until(lambda: requested(a1111, "/txt2img") == 1)
        asyncio.run(cancel(worker, dead))
        a1111.knobs.latency = 0

    with meanwhile(cancel_the_dead):
        deliver(worker)

    assert (worker.job(dead).status, worker.job(other).status) == ("canceled", "succeeded")
    assert requested(a1111, "/interrupt") == 0


def test_a_worker_whose_time_is_up_does_not_wait_for_a_server_to_rest(
    worker: WorkerDeployment, a1111: SandboxState, handlers_time: LoopTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's end has to be recorded while there is time: the server is not asked for as long as it may take."""
    monkeypatch.setattr("image_gateway.worker.worker._COMPLETION_SECONDS", 290)
    a1111.knobs.latency = LONG
    a1111.knobs.faults = [Fault(200, {"state": {"job_count": 1}}, times=-1, path="/progress")]
    (job_id,) = queued(worker)

    def run_out_of_time() -> None:
        wait_until(lambda: requested(a1111, "/txt2img") == 1)
        handlers_time.advance(10)
        wait_until(looks)
        handlers_time.advance(5)

    def looks() -> int:
        return sum(one.path.endswith("/progress") for one in a1111.record)

    with meanwhile(run_out_of_time):
        worker.work_off()

    error = worker.job(job_id).error
    assert error
    assert (error.code, error.may_have_cost) == ("engine_timeout", True)
    assert requested(a1111, "/interrupt") == 1
    assert looks() < len(stop._WAITS)


# ComfyUI.


def test_a_job_canceled_before_its_run_is_asked_for_has_none(
    worker: WorkerDeployment, comfyui: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its images are being fetched, for instance: nothing is paid for it."""
    (job_id,) = queued(worker)
    inputs = worker.gateway._job_inputs
    load = inputs.load

    async def load_long(job: Any) -> Any:
        await cancel(worker, job.id)
        return await load(job)

    monkeypatch.setattr(inputs, "load", load_long)
    worker.work_off()

    assert worker.job(job_id).status == "canceled"
    assert requested(comfyui, "/prompt") == 0
    assert worker.keys("images/") == []


@pytest.mark.usefixtures("soon")
def test_a_run_that_begins_after_the_cancellation_is_taken_off(
    worker: WorkerDeployment, generating: "Deployment", comfyui: SandboxState
) -> None:
    """Who cancels finds no run to stop; the holder of the job sees it in the record, and stops what it has begun."""
    generating.configure(IMAGE_ENGINE_TIMEOUT=240)  # no test lasts that long
    comfyui.knobs.latency = LONG
    (job_id,) = queued(worker)
    jobs = Gateway(worker.gateway.settings, worker.gateway.aws).jobs

    async def record() -> None:
        job = await jobs.get(job_id)
        assert job
        job.status = "canceled"
        assert await jobs.end(job, expected_status="running")

    def cancel_it() -> None:
        wait_until(lambda: requested(comfyui, "/prompt") == 1)
        asyncio.run(record())

    with meanwhile(cancel_it):
        deliver(worker)

    assert worker.job(job_id).status == "canceled"
    assert [one.json for one in comfyui.record if one.path == "/interrupt"] == [{"prompt_id": job_id}]
    assert worker.drain() == []


class Losing:
    """A server whose answer to the first `/prompt` is lost on its way."""

    def __init__(self, server: ASGIApp) -> None:
        self._server = server
        self._prompts = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/prompt" or next(self._prompts):
            await self._server(scope, receive, send)
            return

        async def lose(_message: Any) -> None:
            pass

        await self._server(scope, receive, lose)
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def test_a_run_whose_beginning_was_not_told_is_found_again(
    worker: WorkerDeployment, generating: "Deployment", comfyui: SandboxState, serve: Serve
) -> None:
    """The next attempt asks for it by the job's id, and starts no second one."""
    generating.configure(COMFYUI_BASE_URL=serve(Losing(create_comfyui(comfyui))))
    (job_id,) = queued(worker)

    worker.work_off()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert requested(comfyui, "/prompt") == 1


def test_images_that_could_not_be_stored_are_fetched_again(
    worker: WorkerDeployment, comfyui: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are on the server still: S3's absence costs an attempt, not the job, and no second run."""
    (job_id,) = queued(worker)
    (message,) = worker.drain()
    with monkeypatch.context() as patched:
        patched.setattr(worker.gateway.images._bucket, "put", away)
        worker.deliver(message.record)
    assert worker.job(job_id).status == "queued"

    worker.work_off()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert requested(comfyui, "/prompt") == 1


def test_images_that_can_never_be_stored_fail_the_job(
    worker: WorkerDeployment, comfyui: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last attempt it says that it may have cost, and a dead letter tells of it; one run was paid for."""
    monkeypatch.setattr(worker.gateway.images._bucket, "put", away)
    (job_id,) = queued(worker)

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts) == ("failed", MAX_ATTEMPTS)
    assert (job.error.code, job.error.may_have_cost) == (StorageUnavailable.code, True)
    assert requested(comfyui, "/prompt") == 1
    assert len(worker.drain("dead")) == 1


def test_a_run_that_took_too_long_is_not_paid_twice(
    worker: WorkerDeployment, generating: "Deployment", comfyui: SandboxState
) -> None:
    """It was stopped, so there is nothing to be found, and the job fails."""
    generating.configure(IMAGE_ENGINE_TIMEOUT=1)
    comfyui.knobs.latency = LONG
    (job_id,) = queued(worker)

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", 1, "engine_timeout")
    assert requested(comfyui, "/prompt") == requested(comfyui, "/interrupt") == 1


def test_a_run_that_failed_on_the_server_is_not_paid_twice(
    worker: WorkerDeployment, generating: "Deployment", comfyui: SandboxState
) -> None:
    """It would fail again."""
    broken = {"outputs": {}, "status": {"status_str": "error", "messages": []}}
    (job_id,) = queued(worker)
    comfyui.knobs.faults = [Fault(200, {job_id: broken}, times=-1, path=f"/history/{job_id}", skip=1)]

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", 1, "engine_unavailable")
    assert requested(comfyui, "/prompt") == 1
