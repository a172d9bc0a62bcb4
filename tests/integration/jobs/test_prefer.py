"""The `Prefer` header (RFC 7240): `respond-async` and `wait`."""

from typing import TYPE_CHECKING

from tests.integration.jobs.generation import GENERATIONS, follow, generate

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_respond_async_returns_the_job(queue_deployment: "Deployment") -> None:
    """The 202 has the job, its `Location` and `Preference-Applied`."""
    queue_deployment.redeploy(wait_seconds=100)

    response = generate(queue_deployment, {"Prefer": "respond-async"})

    assert response.status == 202
    assert response.headers["preference-applied"] == "respond-async"
    assert response.headers["location"] == f"jobs/{response.json['id']}"
    assert (response.json["status"], response.json["request"]) == ("queued", {"prompt": "a fox", "size": "64x64"})
    queue_deployment.process_queue()
    assert follow(queue_deployment, GENERATIONS, response).json["status"] == "succeeded"


def test_respond_async_queues_a_job_that_would_be_done_inline(
    queue_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """The engine is not called during the request."""
    queue_deployment.redeploy(inline_seconds=24)

    response = generate(queue_deployment, {"Prefer": "respond-async"})

    assert (response.status, response.json["status"]) == (202, "queued")
    assert openai.record == []


def test_wait_limits_the_wait(queue_deployment: "Deployment") -> None:
    """`Preference-Applied` says that it was honored."""
    queue_deployment.redeploy(wait_seconds=100)

    response = generate(queue_deployment, {"Prefer": "wait=0"})

    assert response.status == 303
    assert response.headers["preference-applied"] == "wait=0"


def test_wait_with_respond_async_is_a_202_after_the_wait(queue_deployment: "Deployment") -> None:
    """As RFC 7240 defines it: a job that finishes in time returns its images."""
    response = generate(queue_deployment, {"Prefer": "respond-async, wait=0"})

    assert response.status == 202
    assert response.headers["preference-applied"] == "respond-async, wait=0"


def test_a_wait_over_the_limit_is_not_reported_as_honored(queue_deployment: "Deployment") -> None:
    """The request waits as long as it can."""
    response = generate(queue_deployment, {"Prefer": "wait=600"})

    assert response.status == 303
    assert "preference-applied" not in response.headers


def test_a_200_reports_that_wait_was_honored(queue_deployment: "Deployment", running_worker: None) -> None:
    """`Preference-Applied` is on every response that waited."""
    queue_deployment.redeploy(wait_seconds=20)

    response = generate(queue_deployment, {"Prefer": "wait=15"})

    assert (response.status, response.headers["preference-applied"]) == (200, "wait=15")
