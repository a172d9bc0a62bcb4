"""Any URL of a caller, a redirect or an engine is fetched, or is the documented error."""

import ssl
from collections.abc import Awaitable

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_gateway.engines.connection import Connection
from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineUnavailable, GatewayError, InvalidUrl, UnreachableUrl
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.net.public_fetch import PublicFetcher
from tests.unit.properties.strategies import ANY_TEXT

MARKS = "/\\@:?#[]%|'{. ß\u3002\u200d\u05d0é\udc80\x7f"
PARTS = [
    "http:",
    "https:",
    "//",
    "a.example",
    "xn--",
    "xn--a-ecp.ru",
    "xn--zzzzzzzzz99999",
    "%00",
    "80",
    "127.1",
    "[::1]",
]
LINKS = st.lists(st.sampled_from([*MARKS, *PARTS]), max_size=7).map("".join) | ANY_TEXT.map("https://{}".format)
IMAGE = b"an image"


class RedirectingTransport(httpx.AsyncBaseTransport):
    """Redirects requests to `first.example` to the location, and returns an image for all others."""

    def __init__(self, location: bytes) -> None:
        self._location = location

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.headers["host"] == "first.example":
            return httpx.Response(302, headers=[(b"location", self._location)])
        return httpx.Response(200, stream=httpx.ByteStream(IMAGE))


async def resolve_to_public(_host: str, _port: int) -> list[str]:
    return ["93.184.215.14"]


def fetcher(tls: ssl.SSLContext, location: bytes = b"") -> PublicFetcher:
    return PublicFetcher(ssl_context=tls, resolve=resolve_to_public, transport=RedirectingTransport(location))


async def result(fetching: Awaitable[bytes]) -> bytes | tuple[type[GatewayError], str | None]:
    """Return the fetched content, or the class of the error and the field that it names."""
    try:
        return await fetching
    except GatewayError as error:
        return type(error), error.field


@given(LINKS)
@example("https://xn--a-ecp.ru/a.png")
@example("http://xn--zzzzzzzzz99999.example/")
@pytest.mark.anyio
async def test_any_link_of_a_caller_is_fetched_or_is_refused(tls: ssl.SSLContext, link: str) -> None:
    """A link is fetched, or is `invalid_url` with the name of its field."""
    assert await result(fetcher(tls).fetch(link, field="image")) in (IMAGE, (InvalidUrl, "image"))


@given(LINKS.map(lambda link: link.encode(errors="surrogateescape")) | st.binary(max_size=40))
@example(b"https://xn--a-ecp.ru/a.png")
@example(b"http://[::1]]:x/")
@example(b"\xff\xfe//\x00")
@pytest.mark.anyio
async def test_any_redirect_is_followed_or_is_refused(tls: ssl.SSLContext, location: bytes) -> None:
    """A redirect to any location is followed, or is `invalid_url` with the name of the field."""
    content = await result(fetcher(tls, location).fetch("http://first.example/", field="image"))

    assert content in (IMAGE, (InvalidUrl, "image"), (UnreachableUrl, "image"))


@given(LINKS)
@example("https://xn--a-ecp.ru/a.png")
@example("https://xn--a-ecp.ru")
@pytest.mark.anyio
async def test_any_link_of_an_engine_is_fetched_or_is_the_engines_failure(tls: ssl.SSLContext, link: str) -> None:
    """A link in an engine's response is fetched, or is `engine_unavailable`."""
    async with httpx.AsyncClient(transport=RedirectingTransport(b"/")) as client:
        connection = Connection(client, fetcher(tls).fetch, timeout=10, convert_image=Decoder().convert_image)
        content = await result(EngineServer(connection, "engine", "http://engine.example/v1").download(link))

    assert content in (IMAGE, (EngineUnavailable, None))
