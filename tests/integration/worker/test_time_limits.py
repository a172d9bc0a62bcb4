"""The time limit of an invocation, and engines that run one job at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from image_gateway.container import Gateway
from image_gateway.engines.comfyui.run import Runner
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests.integration.worker.queued_jobs import count_requests, enqueue_jobs, generate_with
from tests.integration.worker_deployment import WorkerDeployment
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def test_a_run_on_comfyui_continues_after_the_invocation_and_is_found_again(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    serve: Callable[..., str],
    event_loop_time: LoopTime,
) -> None:
    """The job returns to the queue, the run goes on, and the next attempt stores its image."""
    comfyui = generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    comfyui.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()

    def advance_time() -> None:
        wait_until(lambda: count_requests(comfyui, "/prompt") == 1 and comfyui.record[-1].path != "/prompt")
        event_loop_time.advance(300)

    with meanwhile(advance_time):
        assert worker.deliver(message.record) == []
    assert worker.job(job_id).status == "queued"
    comfyui.knobs.latency = 0

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert count_requests(comfyui, "/prompt") == 1
    assert count_requests(comfyui, "/interrupt") == 0


def test_a_job_is_not_started_without_enough_time(worker: WorkerDeployment, openai: SandboxState) -> None:
    """It returns to the queue unchanged, for an invocation with more time."""
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()

    assert worker.deliver(message.record, seconds=18) == []

    assert (worker.job(job_id).status, worker.job(job_id).attempts, count_requests(openai)) == ("queued", 0, 0)
    worker.process_queue()
    assert worker.job(job_id).status == "succeeded"


def test_an_engine_timeout_longer_than_an_invocation_fails_the_job(
    worker: WorkerDeployment, openai_deployment: "Deployment"
) -> None:
    """It would return to the queue for ever; the error names the configuration field."""
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=100)
    settings = worker.gateway.settings.model_copy(update={"function_timeout_seconds": 110})
    worker.gateway = Gateway(settings, worker.gateway.aws)
    (job_id,) = enqueue_jobs(worker)

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.error.code, job.error.field) == ("not_configured", "IMAGE_ENGINE_TIMEOUT")


def test_a_run_that_waits_in_comfyuis_queue_is_retried(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job waits for another invocation instead of failing. Only the time in the server's queue is short here."""
    comfyui = generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    comfyui.knobs.latency = LONG
    job_ids = enqueue_jobs(worker, 4)

    def finish_run_after_three_have_left_the_queue() -> None:
        wait_until(lambda: count_requests(comfyui, "/queue") >= 3)
        comfyui.knobs.latency = 0

    with monkeypatch.context() as patch, meanwhile(finish_run_after_three_have_left_the_queue):
        patch.setattr(
            "image_gateway.engines.comfyui.engine.Runner", lambda **fields: Runner(**{**fields, "queue_limit": 2.0})
        )
        worker.deliver(*(message.record for message in worker.drain()))
    assert "queued" in {worker.job(job_id).status for job_id in job_ids}

    worker.process_queue()

    jobs = [worker.job(job_id) for job_id in job_ids]
    assert [(job.status, job.error and job.error.detail) for job in jobs] == [("succeeded", None)] * 4


def test_a_job_that_outlasts_the_invocation_fails_before_its_end(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    openai: SandboxState,
    event_loop_time: LoopTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The failure is recorded while there is time, and may have cost."""
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=60)
    monkeypatch.setattr("image_gateway.worker.round_runner.COMPLETION_SECONDS", 270)
    openai.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker)

    def advance_time() -> None:
        wait_until(lambda: openai.in_flight == 1)
        event_loop_time.advance(30)

    with meanwhile(advance_time):
        worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "engine_timeout", True)


@pytest.mark.parametrize("batch", [10, 3])
def test_jobs_on_automatic1111_run_one_after_another(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    event_loop_time: LoopTime,
    batch: int,
) -> None:
    """Ten jobs in one invocation or in several: no two overlap, and none fails because it waited.

    Each takes four seconds of the worker's time, so that the last of ten waits for longer than the engine's timeout.
    """
    a1111 = generate_with(openai_deployment, serve, "automatic1111", IMAGE_ENGINE_TIMEOUT=30)
    a1111.knobs.latency = 0.05
    record_request = a1111.record_request

    async def advance_time(request: Request, **fields: Any) -> None:
        await record_request(request, **fields)
        if request.url.path.endswith("/txt2img"):
            event_loop_time.advance(4)

    monkeypatch.setattr(a1111, "record_request", advance_time)
    job_ids = enqueue_jobs(worker, 10)

    worker.process_queue(batch=batch)

    jobs = [worker.job(job_id) for job_id in job_ids]
    assert [(job.status, job.attempts) for job in jobs] == [("succeeded", 1)] * 10
    assert count_requests(a1111, "/txt2img") == 10
    assert a1111.max_in_flight == 1
