"""Jobs whose holder died, or is at work."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import count_requests, enqueue_jobs, generate_with, orphaned_job
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def test_a_crash_on_an_engine_that_may_have_been_paid_fails_the_job(
    worker: WorkerDeployment, openai: SandboxState
) -> None:
    """The job of a dead holder ends as interrupted; the engine is not asked again."""
    job_id = orphaned_job(worker, "openai")

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "interrupted", True)
    assert count_requests(openai) == 0


def test_a_crash_on_comfyui_is_taken_up_and_finds_its_own_run(
    worker: WorkerDeployment, openai_deployment: "Deployment", serve: Callable[..., str]
) -> None:
    """The run that the dead holder started is not started twice, and its image is the job's."""
    comfyui = generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    job_id = orphaned_job(worker, "comfyui")
    dead = run(worker.gateway.jobs.get(job_id))
    assert dead
    form = run(worker.gateway._job_inputs.load(dead))[0]
    run(worker.gateway.executor.execute(dead, form))
    assert count_requests(comfyui, "/prompt") == 1

    worker.work_off()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert count_requests(comfyui, "/prompt") == 1
    assert len(worker.keys("images/")) == 1


def test_an_edit_that_died_where_it_came_in_is_interrupted(worker: WorkerDeployment) -> None:
    """It kept no images to begin again with, also where the engine finds its run again."""
    job = Job(id=new_job_id(), kind="edit", owner="token:1", request={"prompt": "a hat"}, engine="comfyui")
    run(worker.gateway.jobs.create(job, lease_seconds=-10, holder="the dead"))

    assert worker.deliver(record({"job": job.id})) == []

    found = worker.job(job.id)
    assert found.error
    assert (found.status, found.error.code, found.error.may_have_cost) == ("failed", "interrupted", True)


def test_a_job_that_keeps_killing_its_holders_fails(
    worker: WorkerDeployment, openai_deployment: "Deployment", serve: Callable[..., str]
) -> None:
    """Also where runs are found again there is an end to it."""
    generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    job_id = orphaned_job(worker, "comfyui")
    for _ in range(MAX_ATTEMPTS - 1):
        assert run(worker.gateway.jobs.lease(job_id, "another", -10, "comfyui"))

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "interrupted")


def test_a_job_that_another_holds_comes_back_until_it_has_ended(worker: WorkerDeployment, openai: SandboxState) -> None:
    """The message is not lost while the holder lives, and done with when it has finished."""
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()
    lease = run(worker.gateway.jobs.lease(job_id, "another", 60, "openai"))
    assert lease

    assert worker.deliver(message.record) == [message.record["messageId"]]
    lease.job.status = "succeeded"
    run(worker.gateway.jobs.finish(lease.job, "another"))
    assert worker.deliver(message.record) == []

    assert count_requests(openai) == 0
