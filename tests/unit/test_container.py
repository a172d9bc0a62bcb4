"""The composition of a deployment: what its parts share, and what they do not."""

from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.container import Gateway
from image_gateway.models.config import ImagesConfig


class CookieSetter:
    """An engine that gives a cookie with every answer, and remembers those that it gets."""

    def __init__(self) -> None:
        self.got: list[str | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.got.append(Request(scope).headers.get("cookie"))
        headers = {"set-cookie": "session=of-one-engine; Path=/"}
        await JSONResponse({"data": []}, headers=headers)(scope, receive, send)


@pytest.mark.anyio
async def test_engines_share_no_cookies(gateway: Gateway, serve: Callable[[ASGIApp], str]) -> None:
    """A cookie that an engine sets is sent neither to another engine of that host nor to itself."""
    engines = [CookieSetter(), CookieSetter()]
    urls = [serve(engine) for engine in engines]

    for url in (*urls, *urls):
        config = ImagesConfig(IMAGES_OPENAI_API_BASE_URL=url, IMAGES_OPENAI_API_KEY="key")
        await gateway.engine("openai", config).models()

    assert [engine.got for engine in engines] == [[None, None]] * 2
    await gateway.aclose()
