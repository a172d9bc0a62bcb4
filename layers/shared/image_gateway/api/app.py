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

from image_gateway.api.leading_slashes import LeadingSlashes
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
from image_gateway.telemetry import quiet_httpx

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
"""A Lambda handler: from an event and a context to API Gateway's response (payload format 2.0)."""


def create_app(*routers: APIRouter) -> FastAPI:
    """Create an application with the routes of `routers`. Every route must declare its access.

    The gateway is created at the first request that needs it.
    """
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Accept JSON without a content type. This enables no cross-site requests, because the gateway uses no cookies.
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
    app.add_middleware(LeadingSlashes)
    return app


def lambda_handler(app: FastAPI) -> Handler:
    """Create the Lambda handler of a function behind API Gateway. It runs on the process's event loop.

    Raises:
        TypeError: a route of the application checks no tokens, because its router has another route class.
    """
    for route in app.routes:
        if not isinstance(route, GuardedRoute):
            raise TypeError(f"{route} does not check its callers: its router needs route_class=GuardedRoute")
    # Mangum logs the path of each request. `RequestLog` logs more, and route templates instead of paths.
    logging.getLogger("mangum.http").setLevel(logging.WARNING)
    # botocore logs at every start where it found credentials.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    quiet_httpx()
    logging.getLogger("image_gateway").setLevel(logging.INFO)
    event_loop()
    # Objects that were created at start-up are excluded from garbage collection.
    gc.freeze()
    gc.enable()
    adapter = Mangum(app, lifespan="off", text_mime_types=["text/", "application/json", PROBLEM_JSON])

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        event_loop()
        return adapter(event, context)

    return handler


CONNECTION_HEADER = "x-image-gateway-connection"
"""Header with the name of the connection that a job has used. It is on every response about a job, also on errors."""


COST_HEADER = "x-image-gateway-cost"
"""Header with what a job cost, in US dollars with six decimals. It is on responses with its images or its error."""


class RequestLog:
    """Logs each request in one line, adds its id to the response, and turns an unexpected exception into a response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application and log the outcome."""
        started = time.perf_counter()
        status = 0
        request = Request(scope)
        id_ = request_id(request)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # The OpenAI API's name of the first header, which OpenAI's SDKs read.
                added = {
                    "x-request-id": id_,
                    CONNECTION_HEADER: getattr(request.state, "connection", ""),
                    COST_HEADER: getattr(request.state, "cost", ""),
                }
                headers = [(name.encode(), value.encode()) for name, value in added.items() if value]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001 - a defect must still get a documented response
            response = await on_defect(request, error)
            await response(scope, receive, send_with_id)
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
