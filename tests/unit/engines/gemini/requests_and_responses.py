"""Requests, and responses of a Gemini server, that the tests of the gemini engine share."""

import base64
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.connection import Connection
from image_gateway.engines.gemini.engine import GeminiEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.models.config import ImagesConfig
from sandbox.engines.painter import paint

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
MakeEngine = Callable[..., GeminiEngine]

IMAGE = "gemini-sandbox-image"
FLASH = "gemini-sandbox-flash-image"
IMAGEN = "imagen-sandbox-001"
PNG = paint("tiny", 16, 16)
PNG_BASE64 = base64.b64encode(PNG).decode()


def image_request(prompt: str = "a red fox", **fields: Any) -> ImageRequest:
    """Return a request in which the caller set every given field."""
    names = frozenset(fields) - {"images", "mask"}
    return ImageRequest(**{"job_id": "job-1", "prompt": prompt, "model": IMAGE, "requested": names, **fields})


def candidate(**fields: Any) -> dict[str, Any]:
    return {"candidates": [fields]}


def image_response(**part: Any) -> dict[str, Any]:
    """Return a response with one image; keywords are further fields of its part."""
    return candidate(content={"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}, **part}]})


def engine_returning(serve: Serve, connect: Connect, body: Any, status: int = 200) -> GeminiEngine:
    """Return an engine for a server that sends one response to every request."""

    async def answer(_request: Any) -> JSONResponse:
        return JSONResponse(body, status)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL=serve(app), IMAGES_GEMINI_ENDPOINT_METHOD="")
    return GeminiEngine(config, connect())
