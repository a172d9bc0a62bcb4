"""The gemini engine: errors of the server, and timeouts."""

import asyncio
from typing import Any

import pytest

from image_gateway.errors import (
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
)
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until
from tests.unit.engines.gemini.requests_and_responses import (
    MakeEngine,
    candidate,
    image_request,
)

pytestmark = pytest.mark.anyio


async def test_an_unknown_model_has_googles_error_text(make_engine: MakeEngine) -> None:
    """The 404 names the model."""
    with pytest.raises(EngineRejected, match="404: models/gemini-9-image is not found"):
        await make_engine().generate(image_request(model="gemini-9-image"))


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        (Fault(429, {"error": {"message": "Quota exceeded"}}, {"Retry-After": "60"}), EngineRateLimited, "Quota"),
        (Fault(500, "<html><body><h1>Error 500</h1></body></html>"), EngineUnavailable, "answered 500: Error 500"),
        (Fault(200, "{oops"), EngineUnavailable, "200 with something that is not JSON"),
        (Fault(200, {"candidates": []}), EngineUnavailable, "without an image: no explanation"),
        (Fault(200, {"error": {"message": "odd"}}), EngineUnavailable, "without an image: odd"),
        (Fault(200, candidate(content={"parts": [{"inlineData": {"data": "iVBO"[:3]}}]})), EngineUnavailable, "base64"),
        (Fault(400, {"error": {"message": "Bad", "status": "INVALID_ARGUMENT"}}), EngineRejected, "400: Bad"),
        (Fault(503, {"error": {"message": "overloaded"}}, {"Retry-After": "9"}), EngineUnavailable, "503: overloaded"),
        (Fault(504, {"error": {"message": "Deadline expired"}}), EngineTimeout, "504: Deadline expired"),
        (Fault(0), EngineUnavailable, "broke off|answered 500"),
    ],
)
async def test_each_failure_has_its_error(
    make_engine: MakeEngine, state: SandboxState, fault: Fault, error: type[GatewayError], text: str
) -> None:
    """The class of the error matches the failure; the message has the engine's error text."""
    state.knobs.faults = [fault]
    with pytest.raises(error, match=text):
        await make_engine().generate(image_request())


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.Help"}, {"retryDelay": "34.5s"}], 34.5),
        ([{"retryDelay": "soon"}, "x"], None),
        ("none", None),
    ],
)
async def test_the_wait_is_read_from_the_body(
    make_engine: MakeEngine, state: SandboxState, details: Any, seconds: float | None
) -> None:
    """Google sends it in `RetryInfo`, without a `Retry-After`."""
    body = {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": details}}
    state.knobs.faults = [Fault(429, body, times=-1)]
    with pytest.raises(EngineRateLimited) as caught:
        await make_engine().generate(image_request())
    assert caught.value.retry_after == seconds


async def test_a_timeout_may_have_cost(make_engine: MakeEngine, state: SandboxState, loop_time: LoopTime) -> None:
    """Google may still complete and bill the request."""
    state.knobs.latency = LONG
    generating = asyncio.create_task(make_engine(timeout=20).generate(image_request()))
    await until(lambda: state.in_flight == 1)
    loop_time.advance(20)

    with pytest.raises(EngineTimeout, match="within 20 s") as caught:
        await generating
    assert caught.value.may_have_cost
