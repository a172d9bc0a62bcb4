"""The sandbox's HTTP front gives functions API Gateway's events, and callers API Gateway's answers and limits."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from sandbox import front
from sandbox.front import create_front, http_event
from sandbox.lambda_environment import FunctionError
from sandbox.template import Route

ROUTES = [
    Route("GET", "/images/{id}", "Images"),
    Route("GET", "/images/latest", "Latest"),
    Route("POST", "/images", "Paint"),
]


def event_of(
    body: bytes = b"",
    *,
    headers: list[tuple[bytes, bytes]] | None = None,
    path: str = "/x",
    query: bytes = b"",
    **more: Any,
) -> dict[str, Any]:
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "headers": headers or [],
        "client": ("192.0.2.7", 1234),
        "server": ("gateway.example", 443),
        "scheme": "https",
    }
    return http_event(Request({**scope, **more}), body, {}, f"POST {path}")


@pytest.mark.parametrize("kind", [b"application/json", b"application/json; charset=utf-8", b"text/plain"])
def test_a_text_is_sent_as_it_is(kind: bytes) -> None:
    """A body of a textual type is the event's body as it is."""
    event = event_of('{"prompt": "Füchse"}'.encode(), headers=[(b"content-type", kind)])

    assert (event["body"], event["isBase64Encoded"]) == ('{"prompt": "Füchse"}', False)


@pytest.mark.parametrize(
    ("kind", "body"),
    [(b"image/png", b"\x89PNG"), (b"application/json", b"\xff\xfe"), (b"multipart/form-data; boundary=x", b"--x--")],
)
def test_anything_else_is_sent_in_base64(kind: bytes, body: bytes) -> None:
    """A body of any other type, or one that is no UTF-8 whatever its type, is sent in base64."""
    event = event_of(body, headers=[(b"content-type", kind)])

    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (body, True)


def test_a_body_without_type_is_sent_in_base64() -> None:
    """A body that does not say what it is counts as binary."""
    assert event_of(b"{}")["isBase64Encoded"] is True


def test_no_body_is_no_key() -> None:
    """A request without a body makes an event without one."""
    event = event_of()

    assert "body" not in event
    assert event["isBase64Encoded"] is False


def test_repeated_headers_are_joined() -> None:
    """Headers of one name are one entry with commas, its name in lower case."""
    event = event_of(headers=[(b"x-tag", b"a"), (b"x-tag", b"b")])

    assert event["headers"] == {"x-tag": "a,b"}


def test_repeated_query_parameters_are_joined() -> None:
    """Query parameters of one name are one entry with commas; the query itself is there as it was sent."""
    event = event_of(query=b"tag=a&tag=b%20c&n=1")

    assert event["queryStringParameters"] == {"tag": "a,b c", "n": "1"}
    assert event["rawQueryString"] == "tag=a&tag=b%20c&n=1"


def test_no_query_is_no_key() -> None:
    """A request without a query makes an event without parameters."""
    assert "queryStringParameters" not in event_of()


def test_the_path_is_decoded() -> None:
    """A path that holds an encoded question mark stays a path."""
    event = event_of(path="/docs/what?.css")

    assert (event["rawPath"], event["rawQueryString"]) == ("/docs/what?.css", "")


def test_the_context_says_who_asked() -> None:
    """The request's context has its time in milliseconds, an id of its own, and the caller's address and agent."""
    first, second = (event_of(headers=[(b"user-agent", b"curl"), (b"host", b"gw.example")]) for _ in range(2))
    context = first["requestContext"]

    assert context["http"] == {
        "method": "POST",
        "path": "/x",
        "protocol": "HTTP/1.1",
        "sourceIp": "192.0.2.7",
        "userAgent": "curl",
    }
    assert context["requestId"] != second["requestContext"]["requestId"]
    assert (context["domainName"], context["routeKey"], context["stage"]) == ("gw.example", "POST /x", "$default")
    assert isinstance(context["timeEpoch"], int)


def test_a_caller_without_address_is_local() -> None:
    """A request from a socket without an address counts as one of this machine."""
    assert event_of(client=None)["requestContext"]["http"]["sourceIp"] == "127.0.0.1"


@dataclass
class Functions:
    """Stands for the functions: keeps what they were given, and gives one answer."""

    answer: Any = field(default_factory=lambda: {"statusCode": 200, "body": "done"})
    error: Exception | None = None
    endless: bool = False
    requested: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        self.requested.append((name, event))
        if self.endless:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return self.answer


@pytest.fixture
def functions() -> Functions:
    return Functions()


Client = Callable[[], httpx.AsyncClient]


@pytest.fixture
def client(functions: Functions) -> Client:
    """A client of the front."""
    transport = httpx.ASGITransport(create_front(ROUTES, functions))
    return lambda: httpx.AsyncClient(transport=transport, base_url="http://gateway.example")


@pytest.mark.anyio
async def test_a_request_reaches_its_function(client: Client, functions: Functions) -> None:
    """A request of a route calls the function of the route, with its path parameters."""
    async with client() as http:
        answer = await http.get("/images/a-1?size=2")

    ((name, event),) = functions.requested
    assert (answer.status_code, answer.text) == (200, "done")
    assert (name, event["routeKey"], event["pathParameters"]) == ("Images", "GET /images/{id}", {"id": "a-1"})


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["x:abc", "x:", "[::1", "x/v1/?y=", "exa mple", " ", "", "é"])
async def test_a_host_that_is_none_is_refused(client: Client, functions: Functions, host: str) -> None:
    """A `Host` that names none is a bad request, as it is to API Gateway, and no function is called."""
    async with client() as http:
        answer = await http.get("/images/latest", headers={b"Host": host.encode()})

    assert (answer.status_code, answer.json()) == (400, {"message": "Bad Request"})
    assert functions.requested == []


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["gw.example", "GW_1.example.:8080", "127.0.0.1:8123", "[::1]:8123", "[::1]"])
async def test_a_host_of_any_kind_is_taken(client: Client, functions: Functions, host: str) -> None:
    """A name or an address, with a port or without, is in the event as it was sent."""
    async with client() as http:
        await http.get("/images/latest", headers={"Host": host})

    ((_name, event),) = functions.requested
    assert event["requestContext"]["domainName"] == host


@pytest.mark.anyio
async def test_a_parameter_holds_anything(client: Client, functions: Functions) -> None:
    """A path parameter may hold line breaks and other letters than ASCII's."""
    async with client() as http:
        await http.get("/images/%0A%C3%BC%1C")

    ((_name, event),) = functions.requested
    assert event["pathParameters"] == {"id": "\nü\x1c"}


@pytest.mark.anyio
async def test_the_most_specific_route_wins(client: Client, functions: Functions) -> None:
    """A route without parameters is chosen over one with them, wherever they stand in the template."""
    async with client() as http:
        await http.get("/images/latest")

    assert [name for name, _event in functions.requested] == ["Latest"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("DELETE", "/images"), ("HEAD", "/images/latest"), ("GET", "/"), ("TRACE", "/images")],
)
async def test_what_the_template_does_not_have_is_not_found(
    client: Client, functions: Functions, method: str, path: str
) -> None:
    """A path or a method that no route has is API Gateway's own 404, and no function is called."""
    async with client() as http:
        answer = await http.request(method, path)

    assert (answer.status_code, functions.requested) == (404, [])
    assert method == "HEAD" or answer.json() == {"message": "Not Found"}


@pytest.mark.anyio
async def test_ten_megabytes_are_the_most_for_the_api(client: Client, functions: Functions) -> None:
    """A body of more than 10 MB is refused with 413, as API Gateway does."""
    async with client() as http:
        answer = await http.post(
            "/images", content=b"x" * (front.MAX_BODY_BYTES + 1), headers={"content-type": "text/plain"}
        )

    assert (answer.status_code, answer.json()) == (413, {"message": "Request Entity Too Large"})
    assert functions.requested == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("image/png", b"\x89" * 4_800_000),
        ("text/plain", b"x" * (6 * 2**20 + 1)),
        ("text/plain", "ü".encode() * (3 * 2**20 + 1)),
    ],
    ids=["base64", "ASCII", "UTF-8"],
)
async def test_six_megabytes_are_the_most_for_a_function(
    client: Client, functions: Functions, kind: str, body: bytes
) -> None:
    """A body that makes an event of more than 6 MB is refused with 413: base64 counts, and bytes, not characters."""
    async with client() as http:
        answer = await http.post("/images", content=body, headers={"content-type": kind})

    assert (answer.status_code, functions.requested) == (413, [])


@pytest.mark.anyio
async def test_a_slow_function_is_given_up(
    client: Client, functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that takes longer than API Gateway waits is a 503."""
    monkeypatch.setattr(front, "MAX_WAIT_SECONDS", 0.01)
    functions.endless = True

    async with client() as http:
        answer = await http.post("/images")

    assert (answer.status_code, answer.json()) == (503, {"message": "Service Unavailable"})


@pytest.mark.anyio
async def test_a_failed_function_is_an_internal_error(client: Client, functions: Functions) -> None:
    """A function that fails is a 500 that does not say why."""
    functions.error = FunctionError("planted-reason")

    async with client() as http:
        answer = await http.post("/images")

    assert (answer.status_code, answer.json()) == (500, {"message": "Internal Server Error"})


@pytest.mark.anyio
async def test_a_binary_answer_is_decoded(client: Client, functions: Functions) -> None:
    """An answer in base64 reaches the caller as bytes, with its status and headers."""
    body = base64.b64encode(b"\x89PNG").decode()
    functions.answer = {
        "statusCode": 201,
        "headers": {"content-type": "image/png"},
        "body": body,
        "isBase64Encoded": True,
    }

    async with client() as http:
        answer = await http.post("/images")

    assert (answer.status_code, answer.headers["content-type"], answer.content) == (201, "image/png", b"\x89PNG")


@pytest.mark.anyio
async def test_cookies_are_headers(client: Client, functions: Functions) -> None:
    """Each cookie of an answer is a header of its own; an answer without a body is empty."""
    functions.answer = {"statusCode": 204, "cookies": ["a=1", "b=2"]}

    async with client() as http:
        answer = await http.post("/images")

    assert (answer.headers.get_list("set-cookie"), answer.content) == (["a=1", "b=2"], b"")
