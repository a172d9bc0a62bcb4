"""The sandbox's front: the event that a function gets for a request."""

import base64
from typing import Any

import pytest
from starlette.requests import Request

from sandbox.front import http_event


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


@pytest.mark.parametrize(
    "content_type",
    [
        *(b"application/json", b"application/json; charset=utf-8", b"Application/JSON;charset=utf-8", b"text/plain"),
        *(b"text/csv", b"application/xml", b"application/javascript"),
    ],
)
def test_a_text_body_is_not_encoded(content_type: bytes) -> None:
    """A body of a textual type is the event's body as it is."""
    event = event_of('{"prompt": "Füchse"}'.encode(), headers=[(b"content-type", content_type)])

    assert (event["body"], event["isBase64Encoded"]) == ('{"prompt": "Füchse"}', False)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b"image/png", b"\x89PNG"),
        (b"application/json", b"\xff\xfe"),
        (b"multipart/form-data; boundary=x", b"--x--"),
        (b"application/x-www-form-urlencoded", b"prompt=a+fox"),
        (b"application/problem+json", b"{}"),
        (b"application/json-patch+json", b"[]"),
        (b"text", b"a"),
    ],
)
def test_a_binary_body_is_base64_encoded(content_type: bytes, body: bytes) -> None:
    """A body of another type, also a form, or one of any type that is not UTF-8, is encoded as base64."""
    event = event_of(body, headers=[(b"content-type", content_type)])

    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (body, True)


def test_a_body_without_content_type_is_base64_encoded() -> None:
    """A body without a content type counts as binary."""
    assert event_of(b"{}")["isBase64Encoded"] is True


def test_a_request_without_body_has_an_event_without_body() -> None:
    """The event of a request without a body has no key `body`."""
    event = event_of()

    assert "body" not in event
    assert event["isBase64Encoded"] is False


def test_repeated_headers_are_joined() -> None:
    """Headers of the same name become one entry, joined with commas, with its name in lower case."""
    event = event_of(headers=[(b"x-tag", b"a"), (b"x-tag", b"b")])

    assert event["headers"] == {"x-tag": "a,b"}


def test_repeated_query_parameters_are_joined() -> None:
    """Query parameters of the same name become one entry, joined with commas; the raw query string is unchanged."""
    event = event_of(query=b"tag=a&tag=b%20c&n=1")

    assert event["queryStringParameters"] == {"tag": "a,b c", "n": "1"}
    assert event["rawQueryString"] == "tag=a&tag=b%20c&n=1"


def test_a_request_without_query_has_an_event_without_parameters() -> None:
    """The event of a request without a query has no key `queryStringParameters`."""
    assert "queryStringParameters" not in event_of()


def test_the_path_is_decoded() -> None:
    """A path with a decoded question mark is not split into path and query."""
    event = event_of(path="/docs/what?.css")

    assert (event["rawPath"], event["rawQueryString"]) == ("/docs/what?.css", "")


def test_the_context_describes_the_request() -> None:
    """The request context has the time in milliseconds, a unique id, and the caller's address and user agent."""
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
    """A request from a socket without an address has the source IP 127.0.0.1."""
    assert event_of(client=None)["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
