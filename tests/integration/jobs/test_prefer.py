"""The `Prefer` header (RFC 7240): `respond-async` and `wait`."""

from typing import TYPE_CHECKING

from tests.integration.jobs.generation import GENERATIONS, follow, generate

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_respond_async_is_answered_with_the_job(queue_deployment: "Deployment") -> None:
    """202, where it is, and that the preference was honoured."""
    queue_deployment.redeploy(wait_seconds=100)

    response = generate(queue_deployment, {"Prefer": "respond-async"})

    assert response.status == 202
    assert response.headers["preference-applied"] == "respond-async"
    assert response.headers["location"] == f"jobs/{response.json['id']}"
    assert (response.json["status"], response.json["request"]) == ("queued", {"prompt": "a fox", "size": "64x64"})
    queue_deployment.work()
    assert follow(queue_deployment, GENERATIONS, response).json["status"] == "succeeded"


def test_respond_async_queues_what_would_be_done_at_once(
    queue_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """However quick the engine is."""
    queue_deployment.redeploy(inline_seconds=24)

    response = generate(queue_deployment, {"Prefer": "respond-async"})

    assert (response.status, response.json["status"]) == (202, "queued")
    assert openai.record == []


def test_wait_bounds_the_waiting(queue_deployment: "Deployment") -> None:
    """And the answer says that it was honoured."""
    queue_deployment.redeploy(wait_seconds=100)

    response = generate(queue_deployment, {"Prefer": "wait=0"})

    assert response.status == 303
    assert response.headers["preference-applied"] == "wait=0"


def test_wait_and_respond_async_together_are_a_202_after_the_waiting(queue_deployment: "Deployment") -> None:
    """As RFC 7240 has it: the images if they are there by then."""
    response = generate(queue_deployment, {"Prefer": "respond-async, wait=0"})

    assert response.status == 202
    assert response.headers["preference-applied"] == "respond-async, wait=0"


def test_more_than_the_channel_allows_is_not_said_to_be_honoured(queue_deployment: "Deployment") -> None:
    """The request waits as long as it can."""
    response = generate(queue_deployment, {"Prefer": "wait=600"})

    assert response.status == 303
    assert "preference-applied" not in response.headers


def test_images_too_say_that_wait_was_honoured(queue_deployment: "Deployment", running_worker: None) -> None:
    """The header is on every answer that waited."""
    queue_deployment.redeploy(wait_seconds=20)

    response = generate(queue_deployment, {"Prefer": "wait=15"})

    assert (response.status, response.headers["preference-applied"]) == (200, "wait=15")
