"""The HTTP front sends API Gateway's events to functions, and has API Gateway's responses and limits."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from sandbox import front
from sandbox.front import create_front
from sandbox.lambda_environment import FunctionError
from sandbox.template import Route

ROUTES = [
    Route("GET", "/images/{id}", "Images"),
    Route("GET", "/images/latest", "Latest"),
    Route("POST", "/images", "Draw"),
    Route("ANY", "/v1/{path+}", "Rest"),
    Route("GET", "/v1/models/{id+}", "Model"),
    Route("GET", "/v1/jobs/{id}/result", "Result"),
]


@dataclass
class Functions:
    """A fake of the Lambda service that records its invocations and always gives the same output."""

    output: Any = field(default_factory=lambda: {"statusCode": 200, "body": "done"})
    error: Exception | None = None
    hang: bool = False
    invocations: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        self.invocations.append((name, event))
        if self.hang:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return self.output


@pytest.fixture
def functions() -> Functions:
    return Functions()


Client = Callable[[], httpx.AsyncClient]


@pytest.fixture
def client(functions: Functions) -> Client:
    """Create a client of the front."""
    transport = httpx.ASGITransport(create_front(ROUTES, functions))
    return lambda: httpx.AsyncClient(transport=transport, base_url="http://gateway.example")


@pytest.mark.anyio
async def test_a_request_invokes_the_function_of_its_route(client: Client, functions: Functions) -> None:
    """A request invokes the function of its route, with the path parameters."""
    async with client() as http:
        response = await http.get("/images/a-1?size=2")

    ((name, event),) = functions.invocations
    assert (response.status_code, response.text) == (200, "done")
    assert (name, event["routeKey"], event["pathParameters"]) == ("Images", "GET /images/{id}", {"id": "a-1"})


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["x:abc", "x:", "[::1", "x/v1/?y=", "exa mple", " ", "", "é"])
async def test_a_malformed_host_is_refused(client: Client, functions: Functions, host: str) -> None:
    """A malformed `Host` is a bad request, as with API Gateway, and no function is invoked."""
    async with client() as http:
        response = await http.get("/images/latest", headers={b"Host": host.encode()})

    assert (response.status_code, response.json()) == (400, {"message": "Bad Request"})
    assert functions.invocations == []


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["gw.example", "GW_1.example.:8080", "127.0.0.1:8123", "[::1]:8123", "[::1]"])
async def test_a_valid_host_is_passed_on(client: Client, functions: Functions, host: str) -> None:
    """A host name or address, with or without a port, is in the event as it was sent."""
    async with client() as http:
        await http.get("/images/latest", headers={"Host": host})

    ((_name, event),) = functions.invocations
    assert event["requestContext"]["domainName"] == host


@pytest.mark.anyio
async def test_a_path_parameter_may_contain_any_character(client: Client, functions: Functions) -> None:
    """A path parameter may contain line breaks, control characters and non-ASCII characters."""
    async with client() as http:
        await http.get("/images/%0A%C3%BC%1C")

    ((_name, event),) = functions.invocations
    assert event["pathParameters"] == {"id": "\nü\x1c"}


@pytest.mark.anyio
async def test_the_most_specific_route_wins(client: Client, functions: Functions) -> None:
    """A route without parameters is preferred to one with parameters, whatever their order in the template."""
    async with client() as http:
        await http.get("/images/latest")

    assert [name for name, _event in functions.invocations] == ["Latest"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("GET", "/v1/models/a/b", "Model"),
        ("POST", "/v1/models/a/b", "Rest"),
        ("GET", "/v1/jobs/1/result", "Result"),
        ("GET", "/v1/jobs/1/2/result", "Rest"),
        ("HEAD", "/v1//images", "Rest"),
    ],
)
async def test_a_greedy_route_is_the_last_choice(
    client: Client, functions: Functions, method: str, path: str, function: str
) -> None:
    """A route for any method gets what no other route has."""
    async with client() as http:
        await http.request(method, path)

    assert [name for name, _event in functions.invocations] == [function]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("DELETE", "/images"), ("HEAD", "/images/latest"), ("GET", "/"), ("TRACE", "/images")],
)
async def test_a_request_without_route_is_not_found(
    client: Client, functions: Functions, method: str, path: str
) -> None:
    """A path or method without a route gets API Gateway's own 404, and no function is invoked."""
    async with client() as http:
        response = await http.request(method, path)

    assert (response.status_code, functions.invocations) == (404, [])
    assert method == "HEAD" or response.json() == {"message": "Not Found"}


@pytest.mark.anyio
async def test_a_body_above_10_mb_is_refused(client: Client, functions: Functions) -> None:
    """A body of more than 10 MB is refused with 413, as by API Gateway."""
    body = b"x" * (front.MAX_BODY_BYTES + 1)
    async with client() as http:
        response = await http.post("/images", content=body, headers={"content-type": "text/plain"})

    assert (response.status_code, response.json()) == (413, {"message": "Request Entity Too Large"})
    assert functions.invocations == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/png", b"\x89" * 4_800_000),
        ("text/plain", b"x" * (6 * 2**20 + 1)),
        ("text/plain", "ü".encode() * (3 * 2**20 + 1)),
    ],
    ids=["base64", "ASCII", "UTF-8"],
)
async def test_a_body_above_6_mb_in_the_event_is_refused(
    client: Client, functions: Functions, content_type: str, body: bytes
) -> None:
    """A body of more than 6 MB in the event is refused with 413; counted are bytes after base64, not characters."""
    async with client() as http:
        response = await http.post("/images", content=body, headers={"content-type": content_type})

    assert (response.status_code, functions.invocations) == (413, [])


@pytest.mark.anyio
async def test_a_slow_function_is_a_503(client: Client, functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that takes longer than API Gateway's maximum wait is a 503."""
    monkeypatch.setattr(front, "MAX_WAIT_SECONDS", 0.01)
    functions.hang = True

    async with client() as http:
        response = await http.post("/images")

    assert (response.status_code, response.json()) == (503, {"message": "Service Unavailable"})


@pytest.mark.anyio
async def test_a_failed_function_is_a_500(client: Client, functions: Functions) -> None:
    """A function that fails is a 500 without the reason."""
    functions.error = FunctionError("planted-reason")

    async with client() as http:
        response = await http.post("/images")

    assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"})


@pytest.mark.anyio
async def test_a_base64_output_is_decoded(client: Client, functions: Functions) -> None:
    """The caller gets an output in base64 as bytes, with its status and headers."""
    body = base64.b64encode(b"\x89PNG").decode()
    functions.output = {
        "statusCode": 201,
        "headers": {"content-type": "image/png"},
        "body": body,
        "isBase64Encoded": True,
    }

    async with client() as http:
        response = await http.post("/images")

    assert (response.status_code, response.headers["content-type"], response.content) == (201, "image/png", b"\x89PNG")


@pytest.mark.anyio
async def test_each_cookie_is_a_header(client: Client, functions: Functions) -> None:
    """Each cookie of an output is a `Set-Cookie` header; an output without a body is an empty response."""
    functions.output = {"statusCode": 204, "cookies": ["a=1", "b=2"]}

    async with client() as http:
        response = await http.post("/images")

    assert (response.headers.get_list("set-cookie"), response.content) == (["a=1", "b=2"], b"")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "function", "key"),
    [
        ("GET", "/images/latest", "Latest", "GET /images/latest"),
        ("HEAD", "/v1//images", "Rest", "ANY /v1/{path+}"),
        ("DELETE", "/images/latest", "Default", "$default"),
        ("GET", "/", "Default", "$default"),
    ],
)
async def test_the_default_route_gets_what_no_other_route_matches(
    functions: Functions, method: str, path: str, function: str, key: str
) -> None:
    """With `$default`, every path and method has a function, and the event names this route."""
    transport = httpx.ASGITransport(create_front([Route("ANY", "$default", "Default"), *ROUTES], functions))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as http:
        await http.request(method, path)

    ((name, event),) = functions.invocations
    assert (name, event["routeKey"]) == (function, key)
