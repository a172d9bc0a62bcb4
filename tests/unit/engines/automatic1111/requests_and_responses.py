"""Requests, and responses of an AUTOMATIC1111 server, that the tests of the automatic1111 engine share."""

import base64
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.automatic1111.engine import Automatic1111Engine
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.painter import paint

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
MakeEngine = Callable[..., Automatic1111Engine]
SMALL = Size(64, 48)


def image_request(prompt: str = "a red fox", **fields: Any) -> ImageRequest:
    """Return a request for a small image in which the caller set every given field."""
    names = frozenset(fields) - {"images", "mask"}
    return ImageRequest(**{"job_id": "job-1", "prompt": prompt, "size": SMALL, "requested": names, **fields})


def input_image(width: int = 64, height: int = 48) -> InputImage:
    return InputImage(paint("input", width, height), "image/png", width, height)


def server_returning(body: Any, status: int = 200) -> Starlette:
    """Return a server that sends one response to every request."""

    async def answer(_request: Any) -> JSONResponse:
        return JSONResponse(body, status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def image_base64(seed: int = 0) -> str:
    return base64.b64encode(paint("p", SMALL.width, SMALL.height, seed=seed)).decode()


def engine_for(url: str, connect: Connect) -> Automatic1111Engine:
    """Return an engine for the server at `url`, without further configuration."""
    return Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=url), connect())
