"""Connections to AWS: idle ones, the client's own transport, and proxies."""

import asyncio
import os
import ssl
from collections.abc import Callable

import pytest

from image_gateway.aws import Aws, create_transport
from image_gateway.net.transport import Transport
from tests.unit.aws.aws_service import OK, Service

pytestmark = pytest.mark.anyio


class ClosingServer:
    """Sends one response per connection, and closes the connection at the second request."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for number in range(2):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:  # the client is closed
                break
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            self.requests += 1
            if number == 0:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                await writer.drain()
        writer.close()


async def test_a_closed_idle_connection_is_replaced(
    client: Aws, respond: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the service has closed an idle connection, the request is sent again over a new one."""
    respond(OK)
    server = ClosingServer()
    async with await asyncio.start_server(server, "127.0.0.1") as listener:
        port = listener.sockets[0].getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for _ in range(2):
            assert await client.call("ssm", "GetParameter") == {}
        await client.aclose()

    assert (server.connections, server.requests) == (2, 3)


class ClosableTransport(Transport):
    """A transport that records whether it was closed."""

    closed = False

    async def aclose(self) -> None:
        await super().aclose()
        self.closed = True


async def test_a_client_creates_and_closes_its_own_transport() -> None:
    """A client creates its transport at the first request and closes it, so AWS shares no connections with engines."""
    created: list[ClosableTransport] = []

    def create() -> ClosableTransport:
        created.append(ClosableTransport(ssl.create_default_context(), idle_seconds=5))
        return created[0]

    aws = Aws(create)
    await aws.aclose()
    assert not created

    assert aws._transport is created[0]
    await aws.aclose()
    assert created[0].closed


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy", "FTP_PROXY"])
def test_only_a_proxy_for_http_is_a_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Exceptions from proxies, and proxies of other protocols, do not replace the gateway's own transport."""
    for variable in [variable for variable in os.environ if variable.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv(name, "169.254.169.254")

    assert isinstance(create_transport(), Transport)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_every_proxy_for_http_is_a_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also with exceptions, which httpx's client applies."""
    monkeypatch.setenv("NO_PROXY", "other.example")
    monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert not isinstance(create_transport(), Transport)


async def test_proxies_of_the_environment_are_used(
    respond: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the environment sets a proxy, requests to AWS go through it."""
    proxy = respond(OK)
    monkeypatch.setenv("HTTP_PROXY", os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.example")
    aws = Aws()

    assert await aws.call("ssm", "GetParameter") == {"done": True}
    await aws.aclose()

    request, _ = proxy.requests[0]
    assert request.headers["host"] == "aws.example"
    assert request.headers["x-amz-target"] == "AmazonSSM.GetParameter"
