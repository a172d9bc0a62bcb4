"""Jobs whose holder died, or that another holder has a lease of."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import count_requests, enqueue_jobs, generate_with, orphaned_job
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def test_a_crashed_job_on_an_engine_that_charges_is_interrupted(worker: WorkerDeployment, openai: SandboxState) -> None:
    """The engine may have been paid, and is not called again."""
    job_id = orphaned_job(worker, "openai")

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "interrupted", True)
    assert count_requests(openai) == 0


def test_a_crashed_job_on_comfyui_continues_with_its_run(
    worker: WorkerDeployment, openai_deployment: "Deployment", serve: Callable[..., str]
) -> None:
    """The run that the dead holder started is not started twice, and its image is the job's."""
    comfyui = generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    job_id = orphaned_job(worker, "comfyui")
    orphaned = run(worker.gateway.jobs.get(job_id))
    assert orphaned
    form = run(worker.gateway.worker_parts.job_inputs.load(orphaned))[0]
    destination = run(worker.gateway.router.of_run(orphaned))
    run(worker.gateway.executor.execute(orphaned, destination, form, remaining=lambda: 60.0))
    assert count_requests(comfyui, "/prompt") == 1

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert count_requests(comfyui, "/prompt") == 1
    assert len(worker.keys("images/")) == 1


def test_a_crashed_job_stays_on_its_engine_although_the_configuration_has_changed(
    worker: WorkerDeployment, openai_deployment: "Deployment", openai: SandboxState, serve: Callable[..., str]
) -> None:
    """Its run is found again, and no other engine is paid for the same job."""
    comfyui = generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    job_id = orphaned_job(worker, "comfyui")
    openai_deployment.configure(IMAGE_GENERATION_ENGINE="openai", IMAGE_GENERATION_MODEL="gpt-image-2")

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.engine, job.attempts) == ("succeeded", "comfyui", 2)
    assert (count_requests(comfyui, "/prompt"), count_requests(openai)) == (1, 0)


def test_a_crashed_job_whose_next_holder_dies_too_is_interrupted(
    worker: WorkerDeployment, openai_deployment: "Deployment", serve: Callable[..., str]
) -> None:
    """The engine that may have been paid is remembered, although the configuration names another one by now."""
    job_id = orphaned_job(worker, "openai")
    comfyui = generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    engine = run(worker.gateway.router.of_run(worker.job(job_id))).engine
    assert run(worker.gateway.jobs.lease(job_id, "another dead holder", -10, engine))

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "interrupted")
    assert count_requests(comfyui, "/prompt") == 0


def test_a_job_runs_on_the_engine_and_model_of_its_lease(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    openai: SandboxState,
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A configuration that changes before the engine is called is for the next job: this one has its slot already."""
    openai_deployment.configure(IMAGE_GENERATION_MODEL="sandbox-single")
    (job_id,) = enqueue_jobs(worker)
    inputs = worker.gateway.worker_parts.job_inputs
    load = inputs.load

    async def change_and_load(job: Job) -> Any:
        config = ImagesConfig.model_validate({"IMAGE_GENERATION_ENGINE": "gemini", "IMAGE_GENERATION_MODEL": "other"})
        await worker.gateway.config_parts.updates.update(config)
        return await load(job)

    monkeypatch.setattr(inputs, "load", change_and_load)
    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.engine, job.model) == ("succeeded", "openai", "sandbox-single")
    assert [request.json["model"] for request in openai.record] == ["sandbox-single"]


def test_a_crashed_inline_edit_is_interrupted(worker: WorkerDeployment) -> None:
    """It stored no inputs to start again with, even on an engine that finds its runs again."""
    job = Job(id=new_job_id(), kind="edit", owner="token:1", request={"prompt": "a hat"}, engine="comfyui")
    run(worker.gateway.jobs.create(job, lease_seconds=-10, holder="a dead holder"))

    assert worker.deliver(record({"job": job.id})) == []

    stored = worker.job(job.id)
    assert stored.error
    assert (stored.status, stored.error.code, stored.error.may_have_cost) == ("failed", "interrupted", True)


def test_a_job_whose_holders_keep_dying_fails_after_the_last_attempt(
    worker: WorkerDeployment, openai_deployment: "Deployment", serve: Callable[..., str]
) -> None:
    """Attempts are limited even on an engine that finds its runs again."""
    generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    job_id = orphaned_job(worker, "comfyui")
    for _ in range(MAX_ATTEMPTS - 1):
        assert run(worker.gateway.jobs.lease(job_id, "another", -10, "comfyui"))

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "interrupted")


def test_the_message_of_a_leased_job_is_returned_until_the_job_has_ended(
    worker: WorkerDeployment, openai: SandboxState
) -> None:
    """The message is kept while another holder works on the job, and dropped afterwards."""
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()
    lease = run(worker.gateway.jobs.lease(job_id, "another", 60, "openai"))
    assert lease

    assert worker.deliver(message.record) == [message.record["messageId"]]
    lease.job.status = "succeeded"
    run(worker.gateway.jobs.finish(lease.job, "another"))
    assert worker.deliver(message.record) == []

    assert count_requests(openai) == 0
