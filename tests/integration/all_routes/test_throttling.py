"""AWS throttles a request before and after its images are paid."""

from typing import TYPE_CHECKING

import pytest

from image_gateway.container import Gateway
from tests.integration.failing_aws import FailingAws
from tests.integration.openai_api.generation import generate
from tests.loop_time import LoopTime

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


@pytest.fixture
def aws_failures(openai_deployment: "Deployment") -> FailingAws:
    """The AWS of the deployment, which has no cached configuration or token."""
    failing = FailingAws(openai_deployment.gateway.aws)
    openai_deployment.gateway = Gateway(openai_deployment.gateway.settings, failing)
    return failing


def test_a_new_process_waits_for_the_configuration(
    openai_deployment: "Deployment", aws_failures: FailingAws, event_loop_time: LoopTime
) -> None:
    """Where many processes start at once, Parameter Store throttles for longer than a client's four attempts last."""
    aws_failures.refusals = ["GetParameter"] * 5
    aws_failures.loop_time = event_loop_time

    assert generate(openai_deployment).status == 200

    assert aws_failures.refusals == []


@pytest.mark.parametrize("operation", ["GetItem", "GetParameter", "PutItem"])
def test_a_throttled_request_is_a_503_that_clients_may_retry(
    openai_deployment: "Deployment",
    aws_failures: FailingAws,
    openai: "SandboxState",
    event_loop_time: LoopTime,
    operation: str,
) -> None:
    """Nothing was paid: the token's lookup, the configuration or the job's record was throttled."""
    # The configuration is waited for until the request has no more time.
    aws_failures.refusals = [operation] * (20 if operation == "GetParameter" else 1)
    aws_failures.loop_time = event_loop_time if operation == "GetParameter" else None

    response = generate(openai_deployment)

    assert (response.status, response.json["error"]["code"]) == (503, "storage_unavailable")
    assert response.headers["retry-after"] == "1"
    assert "x-should-retry" not in response.headers
    assert openai.record == []
    aws_failures.refusals = []
    assert generate(openai_deployment).status == 200


def test_a_failure_that_is_not_temporary_is_not_to_be_retried(
    openai_deployment: "Deployment", aws_failures: FailingAws
) -> None:
    """Only the operator can mend it, for example by a permission."""
    aws_failures.refusals, aws_failures.code = ["GetItem"], "AccessDeniedException"

    response = generate(openai_deployment)

    assert response.status == 503
    assert "retry-after" not in response.headers
    assert response.headers["x-should-retry"] == "false"


def test_images_that_were_paid_and_cannot_be_read_are_not_to_be_paid_again(
    openai_deployment: "Deployment", aws_failures: FailingAws
) -> None:
    """The same request would make others. The job's result returns them later."""
    key = {"Idempotency-Key": "k"}
    assert generate(openai_deployment, key).status == 200
    aws_failures.refusals = ["GET"]

    response = generate(openai_deployment, key)
    result_path = f"/v1/images/jobs/{openai_deployment.jobs()[0].id}/result"
    aws_failures.refusals = ["GET"]
    result = openai_deployment.call("GET", result_path, role="user")

    assert response.status == result.status == 503
    assert response.headers["x-should-retry"] == "false"
    assert "x-should-retry" not in result.headers


def test_an_unreachable_engine_may_be_called_again(openai_deployment: "Deployment") -> None:
    """A refused connection is free."""
    openai_deployment.configure(IMAGES_OPENAI_API_BASE_URL="http://127.0.0.1:9/v1", IMAGES_OPENAI_API_KEY="")

    response = generate(openai_deployment)

    assert (response.status, response.json["error"]["code"]) == (502, "engine_unavailable")
    assert "x-should-retry" not in response.headers
