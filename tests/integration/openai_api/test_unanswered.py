"""Requests whose images were made and could not be returned: a retry that is not marked gets them."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.openai_api import responses
from sandbox.engines.state import SandboxState
from tests.integration.jobs.generation import follow
from tests.integration.worker.queued_jobs import count_requests
from tests.integration.worker_deployment import WorkerDeployment
from tests.storage_outage import OutageAws

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

PATH = "/v1/images/generations"


def generate(deployment: "Deployment", **headers: str) -> Any:
    """Send a generation as Vercel's AI SDK does: without a key, and without a header that marks retries."""
    return deployment.call("POST", PATH, {"prompt": "a fox"}, role="user", headers=headers)


def test_the_retry_of_a_request_whose_response_could_not_be_stored_gets_its_images(
    outage_deployment: "Deployment", openai: SandboxState, outage_aws: OutageAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images are paid for. An SDK that repeats any 5xx would pay for others."""
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 100)
    outage_aws.fail("s3", "PUT", path="/answers/")
    failed = generate(outage_deployment)
    outage_aws.end()

    again = generate(outage_deployment)

    assert (failed.status, failed.headers["x-should-retry"], again.status) == (503, "false", 303)
    assert (count_requests(openai), len(outage_deployment.jobs())) == (1, 1)


def test_the_retry_of_a_request_whose_result_could_not_be_read_gets_its_images(
    outage_deployment: "Deployment", outage_worker: WorkerDeployment, openai: SandboxState, outage_aws: OutageAws
) -> None:
    """A client that was redirected to the result repeats its request."""
    redirected = generate(outage_deployment, Prefer="wait=0")
    outage_worker.process_queue()
    outage_aws.fail("s3", "GET", path="/images/")
    failed = follow(outage_deployment, PATH, redirected)
    outage_aws.end()

    again = generate(outage_deployment, Prefer="wait=0")

    assert (redirected.status, failed.status, again.status) == (303, 503, 200)
    assert (count_requests(openai), len(outage_deployment.jobs())) == (1, 1)


def test_a_request_after_an_answered_one_is_a_new_job(
    outage_deployment: "Deployment", outage_worker: WorkerDeployment, openai: SandboxState
) -> None:
    """Whoever got the images, and sends the request again, wants another one."""
    redirected = generate(outage_deployment, Prefer="wait=0")
    outage_worker.process_queue()
    assert follow(outage_deployment, PATH, redirected).status == 200

    generate(outage_deployment, Prefer="wait=0")
    outage_worker.process_queue()

    assert (count_requests(openai), len(outage_deployment.jobs())) == (2, 2)


def test_the_error_is_returned_although_it_cannot_be_remembered(
    outage_deployment: "Deployment", outage_aws: OutageAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response is worth more than the protection against a retry."""
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 100)
    outage_aws.fail("s3", "PUT", path="/answers/")
    outage_aws.fail("dynamodb", "PutItem", skip=2)

    response = generate(outage_deployment)

    assert (response.status, response.json["error"]["code"]) == (503, "storage_unavailable")
