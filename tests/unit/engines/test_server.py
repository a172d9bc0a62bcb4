"""Requests to an engine's server: retries, errors, and whether a request may have cost something."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from image_gateway.engines import server as server_module
from image_gateway.engines.connection import Connection
from image_gateway.engines.server import EngineServer
from image_gateway.errors import (
    ContentBlocked,
    EngineError,
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
)
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until

pytestmark = pytest.mark.anyio


async def test_every_request_carries_the_servers_headers_and_query(server: EngineServer, state: SandboxState) -> None:
    """Those of the request are added and take precedence."""
    await server.json("GET", "/a", params={"page": "2"}, headers={"x-more": "m"})

    request = state.record[0]
    assert (request.path, request.query) == ("/api/a", {"version": "1", "page": "2"})
    assert (request.headers["x-key"], request.headers["x-more"]) == ("k", "m")


async def test_a_certificate_that_is_not_trusted_is_permanent(connect: Callable[..., Connection]) -> None:
    """No pause between attempts could change it, so there is one attempt."""
    connection = connect()
    sleeps: list[float] = []
    untrusted = ssl.SSLCertVerificationError(1, "expired")
    untrusted.verify_message = "certificate has expired"

    async def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no connection", request=request) from untrusted

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        server = EngineServer(replace(connection, client=client, sleep=sleep), "engine", "https://engine.example")
        with pytest.raises(EngineUnavailable, match="its certificate") as caught:
            await server.json("POST", "/a")

    assert caught.value.permanent
    assert sleeps == []


@pytest.mark.parametrize(
    ("method", "status", "requests"),
    [
        ("POST", 429, 3),
        ("POST", 503, 3),
        ("POST", 400, 1),
        ("POST", 401, 1),
        ("POST", 500, 1),
        ("POST", 502, 1),
        ("POST", 504, 1),
        ("POST", 0, 1),
        ("GET", 500, 3),
        ("GET", 502, 3),
        ("GET", 0, 3),
        ("GET", 404, 1),
    ],
)
async def test_only_requests_without_cost_are_retried(
    server: EngineServer, state: SandboxState, method: str, status: int, requests: int
) -> None:
    """Work that may have been done is not requested twice; a `GET` is repeated."""
    state.knobs.faults = [Fault(status, times=-1)]

    with pytest.raises(EngineError):
        await server.send(method, "/a")

    assert len(state.record) == requests


@pytest.mark.parametrize(
    ("status", "error", "may_have_cost"),
    [
        (400, EngineRejected, False),
        (401, EngineRejected, False),
        (404, EngineRejected, False),
        (422, EngineRejected, False),
        (429, EngineRateLimited, False),
        (302, EngineUnavailable, True),
        (500, EngineUnavailable, True),
        (503, EngineUnavailable, False),
        (504, EngineTimeout, True),
        (0, EngineUnavailable, True),
    ],
)
async def test_each_status_has_its_error(
    server: EngineServer, state: SandboxState, status: int, error: type[EngineError], *, may_have_cost: bool
) -> None:
    """The error also says whether the engine may have been paid."""
    state.knobs.faults = [Fault(status, times=-1)]

    with pytest.raises(error) as raised:
        await server.send("POST", "/a")

    assert type(raised.value) is error
    assert raised.value.may_have_cost is may_have_cost


@pytest.mark.parametrize(
    ("status", "outstanding"), [(0, True), (400, False), (500, False), (502, True), (503, False), (504, True)]
)
async def test_a_lost_response_is_outstanding(
    server: EngineServer, state: SandboxState, status: int, *, outstanding: bool
) -> None:
    """The engine may have done the work. If it responds itself, it has not."""
    state.knobs.faults = [Fault(status, times=-1)]

    with pytest.raises(EngineError) as caught:
        await server.send("POST", "/a")

    # A connection that breaks off can be answered by the server's own 500 first.
    assert caught.value.outstanding is outstanding or (status == 0 and "500" in caught.value.detail)


async def test_a_request_without_time_left_is_not_sent(server: EngineServer, state: SandboxState) -> None:
    """It costs nothing and is not outstanding."""
    with pytest.raises(EngineTimeout) as caught:
        await replace(server, deadline=asyncio.get_running_loop().time()).send("POST", "/a")

    assert (caught.value.may_have_cost, caught.value.outstanding) == (False, False)
    assert state.record == []


async def test_the_named_parameter_is_short_and_redacted(server: EngineServer, state: SandboxState) -> None:
    """The engine's text may repeat a key."""
    server = replace(server, connection=replace(server.connection, secrets=("sk-secret",)))
    state.knobs.faults = [
        Fault(400, {"error": {"message": "no", "param": "sk-secret"}}),
        Fault(400, {"error": {"message": "no", "param": "p" * 2_000_000}}),
        Fault(400, {"error": {"message": "no", "param": "\n"}}),
    ]
    named = []

    for _ in range(3):
        with pytest.raises(EngineRejected) as raised:
            await server.send("POST", "/a")
        assert raised.value.param == raised.value.field
        named.append(raised.value.field)

    assert named == ["***", "p" * 600 + " …", None]


async def test_blocked_content_is_detected_by_the_engine(server: EngineServer, state: SandboxState) -> None:
    """`blocked` reads the refusal."""
    state.knobs.faults = [Fault(400, {"why": "too rude"})]

    with pytest.raises(ContentBlocked, match="engine blocked the content: too rude"):
        await replace(server, blocked=lambda body: body["why"]).send("POST", "/a")


async def test_all_requests_of_an_operation_share_one_timeout(
    server: EngineServer, state: SandboxState, loop_time: LoopTime
) -> None:
    """The second request gets the time that the first one left."""
    server = replace(server, connection=replace(server.connection, timeout=1000.0)).with_operation_deadline()
    await server.send("POST", "/a")
    loop_time.advance(900)
    state.knobs.latency = LONG

    second = asyncio.create_task(server.send("POST", "/a"))
    await until(lambda: len(state.record) == 2)
    loop_time.advance(101)

    with pytest.raises(EngineTimeout, match=r"within 1000 s"):
        await second


async def test_a_response_over_the_limit_is_unavailable(
    server: EngineServer, state: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not read to its end."""
    monkeypatch.setattr(server_module, "MAX_RESPONSE_BYTES", 1 << 20)
    state.knobs.faults = [Fault(200, "x" * (1 << 21))]

    with pytest.raises(EngineUnavailable, match="engine sent a response of more than 1 MB") as error:
        await server.send("POST", "/a")
    assert error.value.may_have_cost


async def test_a_response_that_is_not_json_is_unavailable(server: EngineServer, state: SandboxState) -> None:
    """The message has no control characters."""
    state.knobs.faults = [Fault(200, "hello\x00 there")]

    with pytest.raises(EngineUnavailable, match="engine answered 200 with something that is not JSON: hello there"):
        await server.json("POST", "/a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [('\ufeff{"a": 1}', {"a": 1}), ('{"a": "cut \\ud83d"}', {"a": "cut ?"}), ('{"a": [NaN]}', None)],
    ids=["byte order mark", "half a pair", "nan"],
)
async def test_slightly_invalid_json_is_accepted(
    server: EngineServer, state: SandboxState, text: str, expected: dict[str, Any] | None
) -> None:
    """Images that were paid for are not lost, and the result can be stored."""
    state.knobs.faults = [Fault(200, text)]

    answer = await server.json("POST", "/a")

    assert expected is None or answer == expected
    assert answer.keys() == {"a"}
    str(answer).encode()


async def test_null_is_valid_json(server: EngineServer, state: SandboxState) -> None:
    """The engine decides what it means."""
    state.knobs.faults = [Fault(200, "null")]

    assert await server.json("GET", "/a") is None


async def test_a_host_that_accepts_no_connection_is_unreachable(connect: Callable[..., Connection]) -> None:
    """It cost nothing."""
    connection = connect()

    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(silent)) as client:
        server = EngineServer(replace(connection, client=client), "engine", "http://engine.example")
        with pytest.raises(EngineUnavailable, match=r"engine cannot be reached \(no answer\): check"):
            await server.send("POST", "/a")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"detail": "Not Found"}, 404),
        ("<h1>404 Not Found</h1>", 404),
        ("", 404),
        ({"detail": "Method Not Allowed"}, 405),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_missing_route_says_to_check_the_url(
    server: EngineServer, state: SandboxState, method: str, body: Any, status: int
) -> None:
    """A wrong base URL is found only by the first request."""
    state.knobs.faults = [Fault(status, body)]

    with pytest.raises(EngineRejected, match=r"\(check the engine's URL in the configuration\)"):
        await server.json(method, "/a")


async def test_a_missing_route_names_the_field_of_the_url(server: EngineServer, state: SandboxState) -> None:
    """Several engines may be configured, and some have another server for edits."""
    state.knobs.faults = [Fault(404, {"detail": "Not Found"})]
    named = replace(server, connection=replace(server.connection, url_field="COMFYUI_BASE_URL"))

    with pytest.raises(EngineRejected, match=r"Not Found \(check COMFYUI_BASE_URL in the configuration\)"):
        await named.json("GET", "/a")


@pytest.mark.parametrize("message", ["The model 'x' does not exist", "Init image not found", "DeploymentNotFound"])
async def test_a_missing_resource_is_no_wrong_url(server: EngineServer, state: SandboxState, message: str) -> None:
    """The server has the route, and the caller named a model or an image that it does not have."""
    state.knobs.faults = [Fault(404, {"error": {"message": message}})]

    with pytest.raises(EngineRejected) as error:
        await server.json("POST", "/a")

    assert error.value.detail == f"engine answered 404: {message}"
