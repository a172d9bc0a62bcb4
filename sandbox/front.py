"""API Gateway's HTTP API on a laptop: the template's routes, real events (payload format 2.0), real limits."""

import asyncio
import base64
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.cors import Cors
from sandbox.lambda_environment import MAX_PAYLOAD_BYTES, FunctionError
from sandbox.template import ACCOUNT, DEFAULT_PATH, Route

MAX_BODY_BYTES = 10 * 2**20
"""API Gateway's limit for a request body, in bytes (10 MB)."""
MAX_WAIT_SECONDS = 30.0
"""Maximum time that API Gateway waits for a function."""
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
"""Valid values of the `Host` header."""
_TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})
"""Content types, beside `text/*`, of bodies that are passed on as text. All others are base64, also URL-encoded forms.

AWS's documentation does not list them. These were observed on AWS: https://github.com/ministackorg/ministack/pull/766.
"""


def http_event(request: Request, body: bytes, parameters: dict[str, str], route: str) -> dict[str, Any]:
    """Return API Gateway's event for a request: a text body as it is, any other body in base64.

    Args:
        request: the request; its body may have been read.
        body: the request's body.
        parameters: the path parameters.
        route: the route key, e.g. `GET /images/{id}`.
    """
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    is_text = _is_text_type(headers.get("content-type", "")) and _is_utf8(body)
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": request.scope["path"],
        "rawQueryString": request.scope["query_string"].decode("latin-1"),
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "sandbox",
            "domainName": headers.get("host", "localhost"),
            "http": {
                "method": request.method,
                "path": request.scope["path"],
                "protocol": "HTTP/1.1",
                "sourceIp": request.client.host if request.client else "127.0.0.1",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex[:16],
            "routeKey": route,
            "stage": "$default",
            "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": bool(body) and not is_text,
    }
    if request.query_params:
        event["queryStringParameters"] = {
            name: ",".join(request.query_params.getlist(name)) for name in request.query_params
        }
    if parameters:
        event["pathParameters"] = parameters
    if body:
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return event


class Functions(Protocol):
    """Invokes functions by name."""

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Run a function with an event and return its response.

        Raises:
            FunctionError: the function failed.
        """


def create_front(routes: list[Route], functions: Functions, cors: Cors | None = None) -> ASGIApp:
    """Return an ASGI application that invokes each route's function; other paths get API Gateway's own 404.

    Args:
        routes: the routes.
        functions: invokes their functions.
        cors: what pages of other origins may do.
    """

    async def respond(request: Request) -> Response:
        if not _HOST.fullmatch(request.headers.get("host", "localhost")):
            return JSONResponse({"message": "Bad Request"}, 400)
        match = _most_specific(routes, request.method, request.scope["path"])
        if match is None:
            return JSONResponse({"message": "Not Found"}, 404)
        route, parameters = match
        body = await request.body()
        event = http_event(request, body, parameters, route.key)
        if len(body) > MAX_BODY_BYTES or len(event.get("body", "").encode()) > MAX_PAYLOAD_BYTES:
            return JSONResponse({"message": "Request Entity Too Large"}, 413)
        try:
            output = await asyncio.wait_for(functions.invoke(route.function, event), MAX_WAIT_SECONDS)
        except TimeoutError:
            return JSONResponse({"message": "Service Unavailable"}, 503)
        except FunctionError:
            return JSONResponse({"message": "Internal Server Error"}, 500)
        return _response(output)

    # Not Starlette's routing, which would not pass every path and method on.
    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = cors.preflight(request) if cors else None
        response = response or await respond(request)
        if cors:
            response.headers.update(cors.response_headers(request))
        await response(scope, receive, send)

    return front


def _most_specific(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route that API Gateway selects, with its path parameters.

    A path that ends with a greedy parameter comes later, and of several the longest wins. Else the one with the fewest
    parameters does. `$default` comes last. Source: "Create routes for HTTP APIs" in API Gateway's developer guide.
    """
    matches = [
        (route, parameters)
        for route in routes
        if route.method in (method, "ANY") and (parameters := route.match(path)) is not None
    ]
    return min(matches, key=lambda match: _generality(match[0], len(match[1])), default=None)


def _generality(route: Route, parameters: int) -> tuple[bool, bool, int, int, bool]:
    is_greedy = route.path.endswith("+}")
    is_default = route.path == DEFAULT_PATH
    return is_default, is_greedy, -len(route.path) if is_greedy else 0, parameters, route.method == "ANY"


def _response(output: dict[str, Any]) -> Response:
    """Return the HTTP response for a function's output (payload format 2.0)."""
    body = output.get("body") or ""
    content = base64.b64decode(body) if output.get("isBase64Encoded") else body.encode()
    response = Response(content, output["statusCode"], output.get("headers") or {})
    for cookie in output.get("cookies") or []:
        response.headers.append("set-cookie", cookie)
    return response


def _is_text_type(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.startswith("text/") or media_type in _TEXT_TYPES


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
