"""Outages of the bucket and the table after an engine was paid: queued jobs."""

from typing import TYPE_CHECKING

import pytest

from image_gateway.aws import AwsError
from image_gateway.event_loop import run
from image_gateway.models.jobs import Job
from sandbox.engines.state import SandboxState
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import FOX, count_requests, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment, deploy_worker
from tests.loop_time import LoopTime
from tests.storage_outage import OutageAws

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.fixture
def worker(openai_deployment: "Deployment", outage_aws: OutageAws) -> WorkerDeployment:
    """A worker whose requests to AWS can be made to fail."""
    openai_deployment.redeploy(aws=outage_aws)
    return deploy_worker(openai_deployment.gateway)


def store_images_without_a_record(worker: WorkerDeployment, n: int = 1) -> Job:
    """Run a queued job up to where its images are stored and its holder dies; return it as its record is."""
    (job_id,) = enqueue_jobs(worker)
    lease = run(worker.gateway.jobs.lease(job_id, "a dead holder", -10, "openai"))
    assert lease
    form = run(worker.gateway.worker_parts.job_inputs.load(lease.job))[0].model_copy(update={"n": n})
    destination = run(worker.gateway.router.of_run(lease.job))
    run(worker.gateway.executor.execute(lease.job.model_copy(), destination, form, remaining=lambda: 60.0))
    return worker.job(job_id)


def test_an_image_is_stored_after_an_outage_of_the_bucket(
    worker: WorkerDeployment, openai: SandboxState, outage_aws: OutageAws
) -> None:
    """The worker has minutes left, and uses them."""
    (job_id,) = enqueue_jobs(worker)
    outage_aws.fail("s3", "PUT", path="/images/", times=6)

    worker.process_queue()

    assert (worker.job(job_id).status, outage_aws.failed, count_requests(openai)) == ("succeeded", 6, 1)


def test_an_image_that_cannot_be_stored_in_the_time_left_fails_its_job(
    worker: WorkerDeployment, openai: SandboxState, outage_aws: OutageAws, event_loop_time: LoopTime
) -> None:
    """The worker stops trying early enough to record the failure."""
    (job_id,) = enqueue_jobs(worker)
    outage_aws.fail("s3", "PUT", path="/images/")
    end = event_loop_time.now() + 300

    assert run(worker.gateway.worker_parts.worker.process(job_id, lambda: end - event_loop_time.now()))

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "storage_unavailable", True)
    assert count_requests(openai) == 1


def test_a_record_is_written_after_an_outage_of_the_table(
    worker: WorkerDeployment, openai: SandboxState, outage_aws: OutageAws
) -> None:
    """The completion is published, too."""
    (job_id,) = enqueue_jobs(worker)
    # The first write is the lease.
    outage_aws.fail("dynamodb", "PutItem", skip=1, times=8)

    worker.process_queue()

    assert (worker.job(job_id).status, outage_aws.failed, count_requests(openai)) == ("succeeded", 8, 1)
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Succeeded"]


def test_the_results_of_a_request_file_are_written_after_an_outage_of_the_bucket(
    worker: WorkerDeployment, outage_aws: OutageAws
) -> None:
    """They are written in the same invocation, not after a redelivery."""
    outage_aws.fail("s3", "PUT", path="/results/", times=3)
    worker.deliver(record(worker.upload("requests/a.jsonl", [{"kind": "generation", "request": FOX}])))

    worker.process_queue()

    assert (worker.results()["succeeded"], outage_aws.failed) == (1, 3)


def test_a_job_whose_record_was_not_written_succeeds_with_its_stored_images(
    worker: WorkerDeployment, openai: SandboxState
) -> None:
    """The next attempt finds them in the bucket and does not call the engine."""
    job_id = store_images_without_a_record(worker).id

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.error, count_requests(openai)) == ("succeeded", None, 1)
    assert [image.key for image in job.images] == worker.keys("images/")
    assert [(image.content_type, image.width, image.height) for image in job.images] == [("image/png", 64, 64)]
    assert job.images[0].size
    assert "record was not written" in " ".join(job.warnings)
    assert [(kind, detail["keys"]) for kind, detail in worker.reported()] == [
        ("Image Job Succeeded", worker.keys("images/"))
    ]


def test_stored_images_are_restored_in_their_order(worker: WorkerDeployment) -> None:
    """Their numbers are part of their ids, and the bucket lists 10 before 2."""
    job_id = store_images_without_a_record(worker, n=10).id
    run(worker.gateway.executor._images._bucket.put("images/other/0.png", b"", "image/png"))

    worker.process_queue()

    assert [image.number for image in worker.job(job_id).images] == list(range(10))


def test_a_stored_object_that_is_no_image_does_not_stop_the_job(worker: WorkerDeployment) -> None:
    """Otherwise its messages would fail again and again, and it would be running for ever."""
    job_id = store_images_without_a_record(worker, n=2).id
    first, _second = worker.keys("images/")
    run(worker.gateway.executor._images._bucket.put(first, b"no image", "image/png"))

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, [image.number for image in job.images]) == ("succeeded", [1])
    assert "1 of 2 images were not stored" in job.warnings


def test_a_job_that_is_given_up_succeeds_with_its_stored_images(worker: WorkerDeployment, openai: SandboxState) -> None:
    """The table was away for so long that the job's message was dead-lettered."""
    job = store_images_without_a_record(worker)

    assert worker.dead_letter(record({"job": job.id})) == []

    assert (worker.job(job.id).status, count_requests(openai)) == ("succeeded", 1)


def test_a_job_without_stored_images_is_interrupted_although_the_bucket_may_not_be_listed(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing permission leaves no job running."""
    job_id = store_images_without_a_record(worker).id
    monkeypatch.setattr("image_gateway.aws.bucket.Bucket.keys", _deny)

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "interrupted")


async def _deny(*_arguments: object) -> list[str]:
    raise AwsError("AccessDenied", status=403)
