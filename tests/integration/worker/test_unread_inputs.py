"""Jobs whose holder died before it had read their input images: no engine was called, so nothing was paid."""

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.forms import EditImageForm
from image_gateway.models.jobs import Job
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from tests.integration.sample_images import data_url, encoded
from tests.integration.sandbox_engine import SandboxEngine
from tests.integration.worker_deployment import WorkerDeployment


def orphaned_edit(worker: WorkerDeployment, *, deaths: int = 1) -> Job:
    """Queue an edit by event whose holders died. Its images are still texts in the bucket."""
    gateway = worker.gateway
    job = Job.model_validate({"id": new_job_id(), "kind": "edit", "owner": "event:s3"})
    run(gateway.worker_parts.job_inputs.attach_request(job, EditImageForm(prompt="a hat", image=data_url(encoded()))))
    run(gateway.jobs.create(job))
    for _ in range(deaths):
        assert run(gateway.jobs.lease(job.id, "a dead holder", -10, "openai"))
    run(gateway.queue.send(job.id, owner=job.owner))
    return job


def test_a_job_whose_images_were_not_read_is_tried_again(
    edit_worker: WorkerDeployment, edit_engine: SandboxEngine
) -> None:
    """Its holder died before it could call the engine."""
    job = orphaned_edit(edit_worker)

    edit_worker.process_queue()

    ended = edit_worker.job(job.id)
    assert (ended.status, ended.attempts, len(edit_engine.state.record)) == ("succeeded", 2, 1)


def test_a_job_whose_images_were_read_is_interrupted(edit_worker: WorkerDeployment, edit_engine: SandboxEngine) -> None:
    """The engine may have been called."""
    job = orphaned_edit(edit_worker)
    run(edit_worker.gateway.worker_parts.job_inputs.load(job))

    edit_worker.process_queue()

    ended = edit_worker.job(job.id)
    assert ended.error
    assert (ended.error.code, ended.error.may_have_cost, edit_engine.state.record) == ("interrupted", True, [])


def test_a_job_whose_holders_die_at_every_attempt_fails_at_no_cost(
    edit_worker: WorkerDeployment, edit_engine: SandboxEngine
) -> None:
    """Reading its images may be what kills them."""
    job = orphaned_edit(edit_worker, deaths=MAX_ATTEMPTS)

    edit_worker.process_queue()

    ended = edit_worker.job(job.id)
    assert ended.error
    assert (ended.error.code, ended.error.may_have_cost, edit_engine.state.record) == ("interrupted", False, [])


def test_images_that_were_stored_are_not_read_again(edit_worker: WorkerDeployment) -> None:
    """Their keys are in the bucket also if the job's record does not have them."""
    job = orphaned_edit(edit_worker)
    first = job.model_copy()
    run(edit_worker.gateway.worker_parts.job_inputs.load(first))

    form, images, mask = run(edit_worker.gateway.worker_parts.job_inputs.load(job))

    assert (job.inputs, job.input_bytes, mask) == (first.inputs, first.input_bytes, None)
    assert form.prompt == "a hat"
    assert images[0].width == 64
