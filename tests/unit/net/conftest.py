"""Fixtures of the tests of `public_fetch`, `public_addresses` and `transport`."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from starlette.types import ASGIApp

from image_gateway.net.public_fetch import PublicFetcher
from image_gateway.net.transport import Transport
from tests.unit.net.fake_internet import PUBLIC, FakeInternet, FakeResolver, ImageServer
from tests.unit.net.scripted_server import AUTHORITY, Script, ScriptedServer, StartServer


@pytest.fixture
def image_server() -> ImageServer:
    return ImageServer()


@pytest.fixture
def base_url(image_server: ImageServer, serve: Callable[[ASGIApp], str]) -> str:
    return serve(image_server)


@pytest.fixture
def port(base_url: str) -> int:
    return httpx.URL(base_url).port or 0


@pytest.fixture
def resolver(port: int) -> FakeResolver:
    return FakeResolver(
        images_example=PUBLIC, inside_example="127.0.0.1", localhost="127.0.0.1 ::1", failing_example=""
    )


@pytest.fixture
def internet(base_url: str) -> FakeInternet:
    return FakeInternet(base_url)


@pytest.fixture
async def fetcher(resolver: FakeResolver, internet: FakeInternet, anyio_backend: str) -> AsyncIterator[PublicFetcher]:
    fetcher = PublicFetcher(resolve=resolver, transport=internet, allowed_hosts=frozenset({"allowed.example:1"}))
    yield fetcher
    await fetcher.aclose()


@pytest.fixture
async def start_server() -> AsyncIterator[StartServer]:
    """Start servers with a script, and with TLS if a name for the certificate is given."""
    async with AsyncExitStack() as stack:

        async def start(script: Script, name: str = "") -> ScriptedServer:
            server = ScriptedServer(script)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if name:
                AUTHORITY.issue_cert(name).configure_cert(tls)
            listener = await asyncio.start_server(server, "127.0.0.1", 0, ssl=tls if name else None)
            stack.callback(listener.close)
            port = listener.sockets[0].getsockname()[1]
            server.url = f"http{'s' if name else ''}://127.0.0.1:{port}"
            return server

        yield start


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    tls = ssl.create_default_context()
    AUTHORITY.configure_trust(tls)
    async with httpx.AsyncClient(transport=Transport(tls, idle_seconds=5), timeout=10) as client:
        yield client
