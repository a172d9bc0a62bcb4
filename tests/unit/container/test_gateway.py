"""The composition root: what the parts of a deployment share."""

from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings


class CookieSetter:
    """An engine that sets a cookie in every response, and records the cookies that it receives."""

    def __init__(self) -> None:
        self.received: list[str | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.received.append(Request(scope).headers.get("cookie"))
        headers = {"set-cookie": "session=of-one-engine; Path=/"}
        await JSONResponse({"data": []}, headers=headers)(scope, receive, send)


@pytest.mark.anyio
async def test_cookies_of_engines_are_never_sent(gateway: Gateway, serve: Callable[[ASGIApp], str]) -> None:
    """A cookie that an engine sets is sent neither to another engine on the same host nor back to that engine."""
    engines = [CookieSetter(), CookieSetter()]
    urls = [serve(engine) for engine in engines]

    for url in (*urls, *urls):
        config = ImagesConfig(IMAGES_OPENAI_API_BASE_URL=url, IMAGES_OPENAI_API_KEY="key")
        await gateway.engines.create("openai", config).models()

    assert [engine.received for engine in engines] == [[None, None]] * 2
    await gateway.aclose()


def test_the_fetcher_is_created_when_a_link_is_fetched(settings: Settings, aws: Aws) -> None:
    """Parts that could fetch links are created without it, so that its settings cannot stop anything else."""
    gateway = Gateway(settings.model_copy(update={"fetch_allowed_hosts": frozenset({"fd00::1"})}), aws)

    assert gateway.worker_parts.dispatcher
    assert gateway.inputs
