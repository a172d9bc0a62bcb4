"""An engine whose record holds the inputs of edits, and a server that links lead to."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.integration.images_api.image_server import ImageServer
from tests.integration.sample_images import GREEN, encoded

if TYPE_CHECKING:
    from tests.integration.sandbox_engine import SandboxEngine


@pytest.fixture
def image_server(serve: Callable[..., str]) -> ImageServer:
    """Serve `/green.png`, an image; `/page`, HTML as `image/png`; `/endless`, 51 MB; `/to?url=`, a redirect."""
    server = ImageServer()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(51):
            yield bytes(1_000_000)

    async def respond(request: Request) -> Response:
        server.requested.append(request.url.path)
        if request.url.path == "/page":
            return Response("<!doctype html>", media_type="image/png")
        if request.url.path == "/endless":
            return StreamingResponse(endless(), media_type="image/png")
        if request.url.path == "/to":
            return RedirectResponse(request.query_params["url"])
        return Response(encoded(GREEN))

    server.url = serve(Starlette(routes=[Route("/{path:path}", respond)]))
    return server


@pytest.fixture
def engine(use_edit_engine: Callable[[str], "SandboxEngine"]) -> "SandboxEngine":
    """An engine whose record contains the inputs themselves."""
    return use_edit_engine("automatic1111")
