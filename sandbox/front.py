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

from sandbox.lambda_environment import MAX_PAYLOAD, FunctionError
from sandbox.template import Route

MAX_BODY = 10 * 2**20
"""The longest body that API Gateway takes, in bytes (10 MB)."""
MAX_WAIT_SECONDS = 30.0
"""How long API Gateway waits for a function."""
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
"""What a server may be called in the header of that name."""
_TEXT = ("text/", "application/json", "application/javascript", "application/xml", "application/x-www-form-urlencoded")


def http_event(request: Request, body: bytes, parameters: dict[str, str], route: str) -> dict[str, Any]:
    """The event that API Gateway makes of a request: text as it is, any other body in base64."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    is_text = headers.get("content-type", "").startswith(_TEXT) and _is_utf8(body)
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": request.scope["path"],
        "rawQueryString": request.scope["query_string"].decode("latin-1"),
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
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
    """What runs functions by their names."""

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Run one event; gives the function's answer.

        Raises:
            FunctionError: the function failed.
        """


def create_front(routes: list[Route], functions: Functions) -> ASGIApp:
    """The HTTP front: each route of the template calls its function; any other path is API Gateway's own 404."""

    async def answer_to(request: Request) -> Response:
        if not _HOST.fullmatch(request.headers.get("host", "localhost")):
            return JSONResponse({"message": "Bad Request"}, 400)
        found = _most_specific(routes, request.method, request.scope["path"])
        if found is None:
            return JSONResponse({"message": "Not Found"}, 404)
        route, parameters = found
        body = await request.body()
        event = http_event(request, body, parameters, f"{route.method} {route.path}")
        if len(body) > MAX_BODY or len(event.get("body", "").encode()) > MAX_PAYLOAD:
            return JSONResponse({"message": "Request Entity Too Large"}, 413)
        try:
            answer = await asyncio.wait_for(functions.invoke(route.function, event), MAX_WAIT_SECONDS)
        except TimeoutError:
            return JSONResponse({"message": "Service Unavailable"}, 503)
        except FunctionError:
            return JSONResponse({"message": "Internal Server Error"}, 500)
        return _response(answer)

    # A framework's own routes would not take every path and method.
    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        answer = await answer_to(Request(scope, receive))
        await answer(scope, receive, send)

    return front


def _most_specific(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route that API Gateway chooses, with its path parameters: one without parameters wins over one with them."""
    fitting = [
        (route, parameters)
        for route in routes
        if route.method == method and (parameters := route.match(path)) is not None
    ]
    return min(fitting, key=lambda found: len(found[1]), default=None)


def _response(answer: dict[str, Any]) -> Response:
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    response = Response(content, answer["statusCode"], answer.get("headers") or {})
    for cookie in answer.get("cookies") or []:
        response.headers.append("set-cookie", cookie)
    return response


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
