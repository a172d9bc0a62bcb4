"""Outages of the bucket and the table after an engine was paid: requests that are answered by the function itself."""

from typing import TYPE_CHECKING

import pytest

from image_gateway.models.images import ImageInfo
from image_gateway.openai_api import responses
from sandbox.engines.state import SandboxState
from tests.integration.jobs.generation import generate
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import count_requests
from tests.integration.worker_deployment import WorkerDeployment
from tests.loop_time import LoopTime
from tests.storage_outage import OutageAws

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def expire_lease(worker: WorkerDeployment, job_id: str) -> None:
    """Let the lease of a running job end now."""
    later = worker.job(job_id).created_at.timestamp() + 3_600
    worker.gateway.jobs._clock = lambda: later


def test_a_request_is_answered_after_a_short_outage_of_the_bucket(
    outage_deployment: "Deployment", openai: SandboxState, outage_aws: OutageAws
) -> None:
    """The image is stored in the time that the request has."""
    outage_aws.fail("s3", "PUT", path="/images/", times=2)

    assert generate(outage_deployment).status == 200
    assert (outage_aws.failed, count_requests(openai)) == (2, 1)


def test_a_long_response_is_stored_after_a_short_outage_of_the_bucket(
    outage_deployment: "Deployment", outage_aws: OutageAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that is too large to be returned is stored like an image."""
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 100)
    outage_aws.fail("s3", "PUT", path="/answers/", times=2)
    form = {"prompt": "a fox", "response_format": "b64_json"}

    assert outage_deployment.call("POST", "/v1/images/generations", form, role="user").status == 303
    assert outage_aws.failed == 2


def test_an_image_is_stored_while_the_function_has_time(
    outage_deployment: "Deployment", openai: SandboxState, outage_aws: OutageAws
) -> None:
    """API Gateway has given the response up by then. The caller finds the image by the job, or by the same request."""
    outage_aws.fail("s3", "PUT", path="/images/", times=4)

    assert generate(outage_deployment).status == 200
    assert (outage_aws.failed, count_requests(openai)) == (4, 1)
    assert [job.status for job in outage_deployment.jobs()] == ["succeeded"]


def test_a_job_ends_in_its_function_while_the_bucket_is_away(
    outage_deployment: "Deployment", outage_aws: OutageAws, event_loop_time: LoopTime
) -> None:
    """Its error says that it may have cost."""
    outage_aws.fail("s3", "PUT", path="/images/")

    response = generate(outage_deployment)

    assert (response.status, response.json["code"]) == (503, "storage_unavailable")
    assert response.headers["x-should-retry"] == "false"


def test_the_worker_completes_the_record_that_an_inline_job_could_not_write(
    outage_worker: WorkerDeployment, outage_deployment: "Deployment", openai: SandboxState, outage_aws: OutageAws
) -> None:
    """The caller gets the image at once; the message that looks after the job completes its record from the bucket."""
    outage_aws.fail("dynamodb", "PutItem", skip=1)

    response = generate(outage_deployment)

    (image,) = [ImageInfo.model_validate(one) for one in response.json]
    (message,) = outage_worker.drain()
    job_id = message.body["job"]
    assert (response.status, outage_worker.job(job_id).status) == (200, "running")
    outage_aws.end()
    expire_lease(outage_worker, job_id)

    assert outage_worker.deliver(record({"job": job_id})) == []

    job = outage_worker.job(job_id)
    assert (job.status, count_requests(openai)) == ("succeeded", 1)
    assert f"{job.id}-{job.images[0].number}" == image.id
    assert [kind for kind, _detail in outage_worker.reported()] == ["Image Job Succeeded"]
