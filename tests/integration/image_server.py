"""A server of images, to which the links of edits lead."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.integration.sample_images import GREEN, encoded, right_half


@dataclass
class ImageServer:
    """A server of a green image.

    `/mask.png` is a mask, `/page` HTML as `image/png`, `/endless` 51 MB, `/to?url=` a redirect, and any other path the
    image.

    Attributes:
        url: its URL.
        requested: the paths that were requested.
        is_empty: whether it has no images any more, and responds with 404.
    """

    url: str = ""
    requested: list[str] = field(default_factory=list)
    is_empty: bool = False

    def app(self) -> Starlette:
        """Return the application to serve."""
        return Starlette(routes=[Route("/{path:path}", self._respond)])

    async def _respond(self, request: Request) -> Response:
        self.requested.append(request.url.path)
        if self.is_empty:
            return Response(status_code=404)
        if request.url.path == "/page":
            return Response("<!doctype html>", media_type="image/png")
        if request.url.path == "/endless":
            return StreamingResponse(_megabytes(51), media_type="image/png")
        if request.url.path == "/to":
            return RedirectResponse(request.query_params["url"])
        if request.url.path == "/mask.png":
            return Response(base64.b64decode(right_half()))
        return Response(encoded(GREEN))


async def _megabytes(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield bytes(1_000_000)
