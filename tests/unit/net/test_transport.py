"""The HTTP transport: requests, responses and reused connections."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest

from image_gateway.net.transport import Transport
from tests.unit.net.scripted_server import LARGE, OK, StartServer, read_request, responding

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["", "127.0.0.1"])
async def test_connections_are_reused(client: httpx.AsyncClient, start_server: StartServer, name: str) -> None:
    """The next request uses the connection of the last one, with and without TLS."""
    server = await start_server(responding(OK, OK, OK), name)

    for _ in range(3):
        assert (await client.get(server.url)).text == "ok"

    assert server.connections == 1


async def test_concurrent_requests_have_their_own_connections(
    client: httpx.AsyncClient, start_server: StartServer
) -> None:
    """Five requests at once are sent over five connections."""
    all_connected = asyncio.Barrier(5)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await all_connected.wait()
        writer.write(OK)

    server = await start_server(script)

    responses = await asyncio.gather(*(client.get(server.url) for _ in range(5)))

    assert [response.text for response in responses] == ["ok"] * 5


@pytest.mark.parametrize(
    "response",
    [
        OK,
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
    ],
    ids=["closed afterwards", "close", "extra response", "HTTP/1.0", "chunked", "early hints"],
)
async def test_a_closed_connection_is_not_reused(
    client: httpx.AsyncClient, start_server: StartServer, response: bytes
) -> None:
    """A response is read completely, whatever its framing, and later bytes are not read as the next response."""
    server = await start_server(responding(response))

    for _ in range(2):
        assert (await client.get(server.url)).text == "ok"
        await server.ended.wait()
        server.ended.clear()

    assert server.connections == 2


@pytest.mark.parametrize("idle_seconds", [0, 0.001])
async def test_a_connection_is_not_reused_after_its_idle_time(start_server: StartServer, idle_seconds: float) -> None:
    """A connection is not reused after its idle time, and never if that is 0."""
    server = await start_server(responding(OK, OK))
    async with httpx.AsyncClient(transport=Transport(ssl.create_default_context(), idle_seconds)) as client:
        await client.get(server.url)
        await asyncio.sleep(0.01)
        await client.get(server.url)

    assert server.connections == 2


@pytest.mark.parametrize("name", ["", "127.0.0.1"])
async def test_large_bodies_are_sent_and_received(
    client: httpx.AsyncClient, start_server: StartServer, name: str
) -> None:
    """Bodies that are larger than all buffers are sent and received completely."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    server = await start_server(echo, name)

    assert (await client.post(server.url, content=LARGE)).content == LARGE


async def test_unread_responses_do_not_fill_the_memory(client: httpx.AsyncClient, start_server: StartServer) -> None:
    """A server can send only as much as is read, plus the size of the buffers."""
    sent = 0
    blocked = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        try:
            while True:
                writer.write(LARGE)
                async with asyncio.timeout(0.5):
                    await writer.drain()
                sent += len(LARGE)
        except TimeoutError:
            blocked.set()

    server = await start_server(endless)

    async with client.stream("GET", server.url):
        await blocked.wait()

    assert sent < 16 * len(LARGE)


async def test_a_response_before_the_end_of_the_request_is_read(
    client: httpx.AsyncClient, start_server: StartServer
) -> None:
    """If a server refuses a body and closes the connection, its response is read."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        writer.write_eof()
        while await reader.read(65536):
            pass

    server = await start_server(refuse)

    response = await client.post(server.url, content=LARGE)

    assert (response.status_code, response.reason_phrase, response.text) == (413, "Too Large", "no")


@pytest.mark.parametrize(
    ("url", "headers", "failure"),
    [
        ("http://127.0.0.1:{port}", {"X-Key": "a\r\nHost: b"}, httpx.LocalProtocolError),
        ("http://127.0.0.1:{port}", {"X Key": "a"}, httpx.LocalProtocolError),
        ("ftp://127.0.0.1:{port}", {}, httpx.UnsupportedProtocol),
    ],
)
async def test_invalid_requests_are_not_sent(
    client: httpx.AsyncClient,
    start_server: StartServer,
    url: str,
    headers: dict[str, str],
    failure: type[Exception],
) -> None:
    """A header cannot contain another one, and only HTTP is supported."""
    server = await start_server(responding(OK))

    with pytest.raises(failure):
        await client.get(url.format(port=server.url.rpartition(":")[2]), headers=headers)


async def test_the_target_and_a_body_of_unknown_length_are_sent(
    client: httpx.AsyncClient, start_server: StartServer
) -> None:
    """The extension `target` is sent unchanged, and a body of unknown length is sent in chunks."""
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        heads.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    server = await start_server(script)

    await client.put(f"{server.url}/x", content=parts(), extensions={"target": b"/a/../b"})

    assert heads[0].startswith(b"PUT /a/../b HTTP/1.1\r\n")
    assert heads[1] == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
