"""The automatic1111 engine: credentials, errors of the server, and timeouts."""

import asyncio
from typing import Any

import pytest

from image_gateway.engines import create_engine
from image_gateway.errors import (
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    NotConfigured,
)
from image_gateway.models.config import ImagesConfig
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until
from tests.unit.engines.automatic1111.requests_and_responses import (
    Connect,
    MakeEngine,
    image_request,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("auth", ["fox:den:1", {"username": "fox", "password": "den:1"}])
async def test_basic_auth_is_accepted_in_both_forms(make_engine: MakeEngine, state: SandboxState, auth: Any) -> None:
    """`user:password` and an object are equivalent; a password may contain a colon."""
    state.knobs.key = "fox:den:1"
    result = await make_engine(AUTOMATIC1111_API_AUTH=auth).generate(image_request())
    assert len(result.images) == 1


@pytest.mark.parametrize("auth", [None, "fox:wrong"])
async def test_refused_credentials_are_not_repeated(make_engine: MakeEngine, state: SandboxState, auth: Any) -> None:
    """A 401 has the server's error text and a hint, but not the password."""
    state.knobs.key = "fox:den"
    engine = make_engine(AUTOMATIC1111_API_AUTH=auth)
    for call in (engine.generate(image_request()), engine.verify(), engine.models()):
        with pytest.raises(EngineRejected, match="Incorrect username or password") as caught:
            await call
        assert "wrong" not in caught.value.detail


async def test_a_missing_url_names_its_field(connect: Connect) -> None:
    """No request is sent."""
    with pytest.raises(NotConfigured) as caught:
        create_engine("automatic1111", ImagesConfig(), connect())
    assert caught.value.field == "AUTOMATIC1111_BASE_URL"


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        (Fault(429, {"error": "slow down"}, {"Retry-After": "60"}), EngineRateLimited, "429: slow down"),
        (Fault(500, "<html><body><h1>Internal Server Error</h1></body></html>"), EngineUnavailable, "Internal Server"),
        (Fault(200, "{oops"), EngineUnavailable, "200 with something that is not JSON: {oops"),
        (Fault(200, {"images": []}), EngineUnavailable, "without images: no explanation"),
        (Fault(200, {"error": "HTTPException", "detail": "No model"}), EngineUnavailable, "HTTPException: No model"),
        (Fault(200, ["nothing"]), EngineUnavailable, "without images: nothing"),
        (Fault(200, {"images": ["iVBORw0KGgoAAAANSUhEU"]}), EngineUnavailable, "not valid base64"),
        (Fault(200, {"images": [None]}), EngineUnavailable, "not valid base64"),
        (Fault(400, {"error": "prompt required"}), EngineRejected, "400: prompt required"),
        (Fault(500, {"error": "server_error", "message": "parse error"}), EngineUnavailable, "server_error: parse err"),
        (Fault(503, {"detail": "loading"}, {"Retry-After": "9"}), EngineUnavailable, "503: loading"),
        (Fault(504, "gateway timeout"), EngineTimeout, "504: gateway timeout"),
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


async def test_retry_after_reaches_the_caller(make_engine: MakeEngine, state: SandboxState) -> None:
    """A 429's `Retry-After` becomes `retry_after` in seconds."""
    state.knobs.faults = [Fault(429, {"detail": "busy"}, {"Retry-After": "60"})]
    with pytest.raises(EngineRateLimited) as caught:
        await make_engine().generate(image_request())
    assert caught.value.retry_after == 60


async def test_a_timeout_may_have_cost(make_engine: MakeEngine, state: SandboxState, loop_time: LoopTime) -> None:
    """The timeout applies to the whole operation; the server may still complete the request."""
    state.knobs.latency = LONG
    generating = asyncio.create_task(make_engine(timeout=20).generate(image_request()))
    await until(lambda: any(one.path.endswith("/txt2img") for one in state.record))
    loop_time.advance(20)

    with pytest.raises(EngineTimeout, match="within 20 s") as caught:
        await generating
    assert caught.value.may_have_cost


async def test_an_unreachable_server_is_named_by_its_field(connect: Connect) -> None:
    """The error names the configuration field, not the address."""
    config = ImagesConfig(AUTOMATIC1111_BASE_URL="http://127.0.0.1:9")
    engine = create_engine("automatic1111", config, connect(), edit=True)
    with pytest.raises(EngineUnavailable, match=r"refused\): check AUTOMATIC1111_BASE_URL$"):
        await engine.verify()
