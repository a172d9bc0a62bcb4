"""The `Prefer` header (RFC 7240): `respond-async` and `wait`."""

from typing import TYPE_CHECKING

from tests.integration.jobs.generation import GENERATIONS, follow, generate

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_respond_async_is_answered_with_the_job(queued: "Deployment") -> None:
    """202, where it is, and that the preference was honoured."""
    queued.redeploy(wait_seconds=100)

    answer = generate(queued, {"Prefer": "respond-async"})

    assert answer.status == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == f"jobs/{answer.json['id']}"
    assert (answer.json["status"], answer.json["request"]) == ("queued", {"prompt": "a fox", "size": "64x64"})
    queued.work()
    assert follow(queued, GENERATIONS, answer).json["status"] == "succeeded"


def test_respond_async_queues_what_would_be_done_at_once(queued: "Deployment", openai: "SandboxState") -> None:
    """However quick the engine is."""
    queued.redeploy(inline_seconds=24)

    answer = generate(queued, {"Prefer": "respond-async"})

    assert (answer.status, answer.json["status"]) == (202, "queued")
    assert openai.record == []


def test_wait_bounds_the_waiting(queued: "Deployment") -> None:
    """And the answer says that it was honoured."""
    queued.redeploy(wait_seconds=100)

    answer = generate(queued, {"Prefer": "wait=0"})

    assert answer.status == 303
    assert answer.headers["preference-applied"] == "wait=0"


def test_wait_and_respond_async_together_are_a_202_after_the_waiting(queued: "Deployment") -> None:
    """As RFC 7240 has it: the images if they are there by then."""
    answer = generate(queued, {"Prefer": "respond-async, wait=0"})

    assert answer.status == 202
    assert answer.headers["preference-applied"] == "respond-async, wait=0"


def test_more_than_the_channel_allows_is_not_said_to_be_honoured(queued: "Deployment") -> None:
    """The request waits as long as it can."""
    answer = generate(queued, {"Prefer": "wait=600"})

    assert answer.status == 303
    assert "preference-applied" not in answer.headers


def test_images_too_say_that_wait_was_honoured(queued: "Deployment", serving_worker: None) -> None:
    """The header is on every answer that waited."""
    queued.redeploy(wait_seconds=20)

    answer = generate(queued, {"Prefer": "wait=15"})

    assert (answer.status, answer.headers["preference-applied"]) == (200, "wait=15")
