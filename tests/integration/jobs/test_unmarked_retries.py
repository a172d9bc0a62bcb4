"""Requests that a client repeats by itself, without an `Idempotency-Key` or a header that says so."""

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.state import Fault, SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

PATHS = ("/api/v1/images/generations", "/v1/images/generations")
BROKEN = [Fault(0, times=-1, path="/generations")]


def calls(openai: SandboxState) -> int:
    """Return how often the engine was called for images."""
    return len([request for request in openai.record if request.path.endswith("/generations")])


def generate(deployment: "Deployment", path: str = PATHS[0], role: str = "user", **fields: Any) -> Any:
    return deployment.call("POST", path, {"prompt": "a fox", **fields}, role=role)


@pytest.mark.parametrize("path", PATHS)
def test_a_retry_after_an_error_that_may_have_cost_is_the_same_job(
    openai_deployment: "Deployment", openai: SandboxState, path: str
) -> None:
    """Vercel's AI SDK repeats any 5xx twice, whatever the headers say."""
    openai.knobs.faults = list(BROKEN)

    responses = [generate(openai_deployment, path) for _ in range(3)]

    assert calls(openai) == 1
    assert len(openai_deployment.jobs()) == 1
    assert {(response.status, response.headers["x-should-retry"]) for response in responses} == {(502, "false")}


def test_another_request_or_another_owner_is_a_new_job(openai_deployment: "Deployment", openai: SandboxState) -> None:
    """Only an identical request of the same owner is a retry."""
    openai.knobs.faults = list(BROKEN)
    generate(openai_deployment)

    generate(openai_deployment, n=2)
    generate(openai_deployment, role="admin")
    generate(openai_deployment, PATHS[1])

    assert calls(openai) >= 4
    assert len(openai_deployment.jobs()) == 4


def test_a_request_after_a_free_error_is_a_new_job(openai_deployment: "Deployment", openai: SandboxState) -> None:
    """Nothing was paid, so a repetition may succeed."""
    openai.knobs.faults = [Fault(429, times=-1, headers={"Retry-After": "60"})]
    generate(openai_deployment)
    openai.knobs.faults = []

    assert generate(openai_deployment).status == 200


def test_identical_requests_of_which_none_failed_are_jobs_of_their_own(queue_deployment: "Deployment") -> None:
    """Somebody who wants two images may send the same request twice, also while the first one is at work."""
    generate(queue_deployment)
    generate(queue_deployment)

    assert len(queue_deployment.jobs()) == 2
