"""The HTTP transport: failures, TLS and unfinished requests."""

import asyncio

import httpx
import pytest

from tests.polling import DEADLINE_SECONDS
from tests.unit.net.scripted_server import LARGE, OK, Script, StartServer, read_request, responding

pytestmark = pytest.mark.anyio


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Neither read nor respond."""
    await asyncio.sleep(60)


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Stop in the middle of a response."""
    await read_request(reader)
    writer.write(OK[:-1])
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (responding(b""), httpx.RemoteProtocolError),
        (responding(OK[:20]), httpx.RemoteProtocolError),
        (responding(OK[:-1]), httpx.RemoteProtocolError),
        (responding(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), httpx.RemoteProtocolError),
        (responding(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), httpx.RemoteProtocolError),
        (stall, httpx.ReadTimeout),
        (hang, httpx.WriteTimeout),
    ],
    ids=["no response", "part of a head", "part of a body", "not HTTP", "endless head", "stalled", "not reading"],
)
async def test_a_failure_is_httpxs_error(
    client: httpx.AsyncClient,
    start_server: StartServer,
    script: Script,
    failure: type[httpx.TransportError],
) -> None:
    """Each failure raises httpx's error for it."""
    server = await start_server(script)
    body = LARGE * 4 if failure is httpx.WriteTimeout else b""

    with pytest.raises(failure):
        await client.post(server.url, content=body, timeout=httpx.Timeout(10, read=0.2, write=0.2))


async def test_a_refused_connection_is_an_error(client: httpx.AsyncClient) -> None:
    """A refused connection raises `ConnectError`, which names the address."""
    with pytest.raises(httpx.ConnectError, match=r"127\.0\.0\.1"):
        await client.get("http://127.0.0.1:1")


async def test_a_server_without_tls_is_an_error(client: httpx.AsyncClient, start_server: StartServer) -> None:
    """A TLS handshake without a response times out, and one with another response is a failure to connect."""

    async def respond_without_tls(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()

    silent, other = await start_server(hang), await start_server(respond_without_tls)

    with pytest.raises(httpx.ConnectTimeout):
        await client.get(silent.url.replace("http:", "https:"), timeout=httpx.Timeout(10, connect=0.2))
    with pytest.raises(httpx.ConnectError):
        await client.get(other.url.replace("http:", "https:"))


async def test_the_certificate_must_be_valid_for_the_name(client: httpx.AsyncClient, start_server: StartServer) -> None:
    """The certificate must be valid for the host or `sni_hostname`, and connections are not shared between names."""
    server = await start_server(responding(OK, OK), "images.example")
    extensions = {"sni_hostname": "images.example"}

    with pytest.raises(httpx.ConnectError, match="certificate"):
        await client.get(server.url)
    assert (await client.get(server.url, extensions=extensions)).text == "ok"
    with pytest.raises(httpx.ConnectError, match="certificate"):
        await client.get(server.url)


async def test_an_unfinished_request_closes_its_connection(
    client: httpx.AsyncClient, start_server: StartServer
) -> None:
    """A canceled request closes its connection, and so does a response that is not read to its end."""
    request_received = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK[:-1])
        request_received.set()
        await reader.readexactly(1)

    server = await start_server(script)
    waiting = asyncio.create_task(client.get(server.url))
    await request_received.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(server.ended.wait(), DEADLINE_SECONDS)

    server.ended.clear()
    async with client.stream("GET", server.url) as response:
        assert response.status_code == 200
    await asyncio.wait_for(server.ended.wait(), DEADLINE_SECONDS)
