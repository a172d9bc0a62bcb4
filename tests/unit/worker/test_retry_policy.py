"""Delays before the next attempt at a job."""

from image_gateway.errors import EngineUnavailable, PrivateAddress, UnresolvedHost
from image_gateway.worker.retry_policy import MAX_RETRY_DELAY_SECONDS, is_retryable, retry_delay


def test_retry_delay_grows_and_is_at_least_what_the_engine_requests() -> None:
    """The delay doubles with each attempt, or is what the engine requests, with up to 25 % of jitter and a maximum."""
    assert all(4 <= retry_delay(1, None) <= 5 and 8 <= retry_delay(2, None) <= 10 for _ in range(50))
    assert all(60 <= retry_delay(1, 60) <= 75 for _ in range(50))
    assert 5000 <= retry_delay(1, 5000) <= 6250
    assert retry_delay(1, 1e9) == MAX_RETRY_DELAY_SECONDS


def test_what_only_the_operator_can_change_is_not_tried_again() -> None:
    """Another attempt would fail in the same way, however long the pause before it."""
    assert is_retryable(EngineUnavailable("down"), "comfyui")
    assert not is_retryable(EngineUnavailable("its certificate has expired", permanent=True), "comfyui")


def test_a_name_that_could_not_be_resolved_is_tried_again() -> None:
    """No engine was called, and a resolver that fails recovers."""
    assert is_retryable(UnresolvedHost("images.example cannot be resolved"), "openai")
    assert not is_retryable(PrivateAddress("images.example has no public address"), "openai")
