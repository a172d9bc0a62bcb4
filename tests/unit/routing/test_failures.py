"""Which failures of a target let a route go on with the next one."""

from typing import Any

import pytest

from image_gateway.engines.refusals import refusal
from image_gateway.errors import (
    Busy,
    ContentBlocked,
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    Interrupted,
    NotConfigured,
    StorageUnavailable,
)
from image_gateway.models.route_forms import RouteForm
from image_gateway.routing.failures import FREE, UNSUPPORTED, failure_of, is_passed_over

DEFAULT = RouteForm.model_validate({"targets": [{"connection": "openai"}]}).fallback_on


@pytest.mark.parametrize(
    ("error", "failure", "is_free"),
    [
        (EngineUnavailable("x", failure="unreachable"), "unreachable", True),
        (EngineRateLimited("x"), "rate_limited", True),
        (EngineUnavailable("x", failure="unavailable"), "unavailable", True),
        (EngineRejected("x", failure="refused_key"), "refused_key", True),
        (NotConfigured("x"), "not_configured", True),
        (Busy("x"), "", False),
        (EngineRejected("x", failure="unsupported"), "unsupported", True),
        (EngineRejected("x"), "rejected", False),
        (ContentBlocked("x"), "content_blocked", False),
        (EngineUnavailable("x", may_have_cost=True), "failed", False),
        (EngineTimeout("x", may_have_cost=True), "timeout", False),
        (EngineRateLimited("x", may_have_cost=True), "failed", False),
        (Interrupted("x"), "", False),
        (StorageUnavailable("x"), "", False),
        (GatewayError("x"), "", False),
    ],
    ids=lambda value: f"{type(value).__name__} {value.may_have_cost}" if isinstance(value, GatewayError) else None,
)
def test_only_what_cannot_have_been_paid_is_passed_over_by_default(
    error: GatewayError, failure: str, *, is_free: bool
) -> None:
    """Errors of the gateway's own storage say nothing about the target."""
    assert failure_of(error) == failure
    assert is_passed_over(error, DEFAULT) is is_free
    if failure not in ("", "unsupported"):
        assert is_passed_over(error, [failure])
        assert not is_passed_over(error, [])


def test_the_free_failures_are_those_of_routes() -> None:
    """The default of `fallback_on` is all of them."""
    assert {*DEFAULT, UNSUPPORTED} == FREE


@pytest.mark.parametrize(
    ("status", "detail", "error", "failure"),
    [
        (400, "x", {"code": "insufficient_quota"}, "rate_limited"),
        (400, "x", {"code": "billing_hard_limit_reached"}, "rate_limited"),
        (402, "Insufficient credits", {}, "rate_limited"),
        (400, "Incorrect API key provided: sk-***", {}, "refused_key"),
        (400, "API key not valid. Please pass a valid API key.", {"status": "INVALID_ARGUMENT"}, "refused_key"),
        (404, "not found", {}, "not_configured"),
        (400, "x", {"code": "model_not_found"}, "not_configured"),
        (400, "x", {"param": "model"}, "not_configured"),
        (400, "Value not in list: ckpt_name: 'a' not in ['b']", {}, "not_configured"),
        (400, "x", {"param": "size"}, "unsupported"),
        (400, "x", {"param": "mask"}, "unsupported"),
        (400, "x", {"param": "prompt"}, ""),
        (400, "x", {"param": {"not": "text"}, "code": ["neither"]}, ""),
        (422, "too odd", {}, ""),
    ],
)
def test_a_refusal_says_whether_another_server_may_do_the_request(
    status: int, detail: str, error: dict[str, Any], failure: str
) -> None:
    """By its status, its code, the parameter that it names, and texts of servers that have no codes."""
    assert refusal(status, detail, error) == failure
