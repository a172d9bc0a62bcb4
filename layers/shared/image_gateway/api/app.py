"""The ASGI application of one function, and the AWS Lambda handler around it."""

import gc
import logging
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from mangum import Mangum
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_gateway.api.problems import (
    PROBLEM_JSON,
    on_defect,
    on_gateway_error,
    on_http_exception,
    on_invalid_request,
    request_id,
)
from image_gateway.api.routing import GuardedRoute
from image_gateway.container import from_environment
from image_gateway.errors import GatewayError
from image_gateway.event_loop import event_loop

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
"""What Lambda calls: an event and a context in, API Gateway's answer (payload format 2.0) out."""


def create_app(*routers: APIRouter) -> FastAPI:
    """An application with the routes of `routers`, whose every route must declare who may use it.

    Its gateway is made when first needed.
    """
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Clients that send JSON without saying so are understood; no cookie is used that a form could ride on.
        strict_content_type=False,
        telemetry={"tracing": False, "metrics": False},
    )
    app.router.route_class = GuardedRoute
    app.router.routes += [route for router in routers for route in router.routes]
    app.state.gateway = from_environment
    app.add_exception_handler(GatewayError, on_gateway_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(RequestLog)
    return app


def lambda_handler(app: FastAPI) -> Handler:
    """The handler of a function that API Gateway calls; it runs on the process's event loop.

    Raises:
        TypeError: a route came into the application by a way that checks no tokens, such as a router of another class.
    """
    for route in app.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} does not check who uses it: its router needs route_class=GuardedRoute")
    # Mangum logs each request's path by itself; `RequestLog` says more, and only route templates.
    logging.getLogger("mangum.http").setLevel(logging.WARNING)
    # botocore says at every start where it found credentials.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    # httpx logs each URL it asks for, and an engine's answer may hold signed ones.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("image_gateway").setLevel(logging.INFO)
    event_loop()
    # What the start has made is never looked through.
    gc.freeze()
    gc.enable()
    adapter = Mangum(app, lifespan="off", text_mime_types=["text/", "application/json", PROBLEM_JSON])

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        event_loop()
        return adapter(event, context)

    return handler


class RequestLog:
    """One log line per request, and its id on every answer; also the last resort that turns a defect into an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and log how the request ended."""
        started = time.perf_counter()
        status = 0
        request = Request(scope)
        id_ = request_id(request)

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # OpenAI's name for it, which its SDKs read.
                named = [(b"x-request-id", id_.encode())] if id_ else []
                message = {**message, "headers": [*message.get("headers", ()), *named]}
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception as error:  # noqa: BLE001 - a defect must still be a documented answer
            answer = await on_defect(request, error)
            await answer(scope, receive, note)
        logger.info(
            "request",
            extra={
                "request_id": id_,
                "method": scope["method"],
                "route": getattr(scope.get("route"), "path", None),
                "status": status,
                "outcome": getattr(request.state, "outcome", "ok"),
                "ms": round((time.perf_counter() - started) * 1000, 1),
            },
        )
