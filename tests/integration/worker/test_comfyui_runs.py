"""Runs on ComfyUI of jobs that are canceled, too slow or lost: each is stopped, or found again by the job's id."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.aws import AwsError
from image_gateway.container import Gateway
from image_gateway.errors import StorageUnavailable
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from sandbox.engines.comfyui import create_app as create_comfyui
from sandbox.engines.state import Fault, SandboxState
from tests.integration.worker.cancellation import cancel
from tests.integration.worker.queued_jobs import count_requests, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

Serve = Callable[[ASGIApp], str]


def deliver_once(worker: WorkerDeployment) -> None:
    """Deliver what is queued, once."""
    worker.deliver(*(message.record for message in worker.drain()))


@pytest.fixture
def fail_to_put(event_loop_time: LoopTime) -> Callable[..., Awaitable[None]]:
    """Fail as S3 does where it denies the access; the time of the pause before the next try passes at once."""

    async def fail_to_put(*_: Any, **__: Any) -> None:
        asyncio.get_running_loop().call_soon(event_loop_time.advance, 1)
        raise AwsError("AccessDenied", status=403)

    return fail_to_put


def test_a_job_canceled_before_its_run_starts_no_run(
    worker: WorkerDeployment, comfyui: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For instance while its inputs are loaded: nothing is paid for it."""
    (job_id,) = enqueue_jobs(worker)
    inputs = worker.gateway.worker_parts.job_inputs
    load = inputs.load

    async def cancel_and_load(job: Any) -> Any:
        await cancel(worker, job.id)
        return await load(job)

    monkeypatch.setattr(inputs, "load", cancel_and_load)
    worker.process_queue()

    assert worker.job(job_id).status == "canceled"
    assert count_requests(comfyui, "/prompt") == 0
    assert worker.keys("images/") == []


@pytest.mark.usefixtures("fast_cancel_watch")
def test_a_run_that_starts_after_the_cancellation_is_interrupted(
    worker: WorkerDeployment, openai_deployment: "Deployment", comfyui: SandboxState
) -> None:
    """The cancellation finds no run to stop; the job's holder sees the record and interrupts the run."""
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=240)  # longer than this test
    comfyui.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker)
    jobs = Gateway(worker.gateway.settings, worker.gateway.aws).jobs

    async def record() -> None:
        job = await jobs.get(job_id)
        assert job
        job.status = "canceled"
        assert await jobs.end(job, expected_status="running")

    def cancel_running_job() -> None:
        wait_until(lambda: count_requests(comfyui, "/prompt") == 1)
        asyncio.run(record())

    with meanwhile(cancel_running_job):
        deliver_once(worker)

    assert worker.job(job_id).status == "canceled"
    assert [request.json for request in comfyui.record if request.path == "/interrupt"] == [{"prompt_id": job_id}]
    assert worker.drain() == []


class LosingFirstPromptResponse:
    """A server whose response to the first `/prompt` is lost."""

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


def test_a_run_whose_first_response_was_lost_is_found_again(
    worker: WorkerDeployment, openai_deployment: "Deployment", comfyui: SandboxState, serve: Serve
) -> None:
    """The next attempt looks it up by the job's id and starts no second run."""
    openai_deployment.configure(COMFYUI_BASE_URL=serve(LosingFirstPromptResponse(create_comfyui(comfyui))))
    (job_id,) = enqueue_jobs(worker)

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert count_requests(comfyui, "/prompt") == 1


def test_images_that_could_not_be_stored_are_fetched_again(
    worker: WorkerDeployment,
    comfyui: SandboxState,
    monkeypatch: pytest.MonkeyPatch,
    fail_to_put: Callable[..., Awaitable[None]],
) -> None:
    """They are still on the server: a bucket that refuses them costs an attempt, not the job, and no second run."""
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()
    with monkeypatch.context() as patched:
        patched.setattr(worker.gateway.images._bucket, "put", fail_to_put)
        worker.deliver(message.record)
    assert worker.job(job_id).status == "queued"

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert count_requests(comfyui, "/prompt") == 1


def test_a_run_is_found_again_although_the_configuration_has_changed(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    openai: SandboxState,
    comfyui: SandboxState,
    monkeypatch: pytest.MonkeyPatch,
    fail_to_put: Callable[..., Awaitable[None]],
) -> None:
    """A job that waits for another attempt at a run that was paid stays on its engine."""
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()
    with monkeypatch.context() as patched:
        patched.setattr(worker.gateway.images._bucket, "put", fail_to_put)
        worker.deliver(message.record)
    openai_deployment.configure(IMAGE_GENERATION_ENGINE="openai", IMAGE_GENERATION_MODEL="gpt-image-2")

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.engine, len(job.images)) == ("succeeded", "comfyui", 1)
    assert (count_requests(comfyui, "/prompt"), count_requests(openai)) == (1, 0)


def test_images_that_cannot_be_stored_fail_the_job_after_the_last_attempt(
    worker: WorkerDeployment,
    comfyui: SandboxState,
    monkeypatch: pytest.MonkeyPatch,
    fail_to_put: Callable[..., Awaitable[None]],
) -> None:
    """The error may have cost, a dead letter is sent, and one run was paid for."""
    monkeypatch.setattr(worker.gateway.images._bucket, "put", fail_to_put)
    (job_id,) = enqueue_jobs(worker)

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts) == ("failed", MAX_ATTEMPTS)
    assert (job.error.code, job.error.may_have_cost) == (StorageUnavailable.code, True)
    assert count_requests(comfyui, "/prompt") == 1
    assert len(worker.drain("dead")) == 1


def test_a_run_that_timed_out_is_not_paid_twice(
    worker: WorkerDeployment, openai_deployment: "Deployment", comfyui: SandboxState
) -> None:
    """It was interrupted, so that there is nothing to find again, and the job fails."""
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=1)
    comfyui.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker)

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", 1, "engine_timeout")
    assert count_requests(comfyui, "/prompt") == count_requests(comfyui, "/interrupt") == 1


def test_a_run_that_failed_on_the_server_is_not_paid_twice(
    worker: WorkerDeployment, openai_deployment: "Deployment", comfyui: SandboxState
) -> None:
    """It would fail again."""
    broken = {"outputs": {}, "status": {"status_str": "error", "messages": []}}
    (job_id,) = enqueue_jobs(worker)
    comfyui.knobs.faults = [Fault(200, {job_id: broken}, times=-1, path=f"/history/{job_id}", skip=1)]

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", 1, "engine_unavailable")
    assert count_requests(comfyui, "/prompt") == 1


def test_a_run_that_no_further_attempt_looks_for_may_have_cost(
    worker: WorkerDeployment, openai_deployment: "Deployment", comfyui: SandboxState
) -> None:
    """The server goes on with it, so what was held for the job is uncertain."""
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=1)
    comfyui.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker, attempts=MAX_ATTEMPTS - 1, reserved=30_000)

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.error and job.error.code) == ("failed", "engine_timeout")
    assert (job.error and job.error.may_have_cost, job.uncertain_usd) == (True, Decimal("0.03"))
