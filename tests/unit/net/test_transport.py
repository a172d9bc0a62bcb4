"""The gateway's own way to a server: connections kept and given up, and what is told of every failure."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
import trustme

from image_gateway.net.connection import connect
from image_gateway.net.transport import Transport

pytestmark = pytest.mark.anyio

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What a server does with one connection."""

LARGE = bytes(range(256)) * 16 * 1024
"""4 MB: more than any buffer on the way holds."""
AUTHORITY = trustme.CA()


class Server:
    """A server that does as it is told, and how often it was connected to."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.url = ""
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._script(reader, writer)
        except (
            asyncio.IncompleteReadError,
            ConnectionError,
            asyncio.CancelledError,
        ):  # the client or the test has gone
            pass
        finally:
            writer.close()
            self.ended.set()


@pytest.fixture
async def serving() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Start servers of scripts, with TLS where they are given a name for their certificate."""
    async with AsyncExitStack() as stack:

        async def start(script: Script, name: str = "") -> Server:
            server = Server(script)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if name:
                AUTHORITY.issue_cert(name).configure_cert(tls)
            listening = await asyncio.start_server(server, "127.0.0.1", 0, ssl=tls if name else None)
            stack.callback(listening.close)
            port = listening.sockets[0].getsockname()[1]
            server.url = f"http{'s' if name else ''}://127.0.0.1:{port}"
            return server

        yield start


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    tls = ssl.create_default_context()
    AUTHORITY.configure_trust(tls)
    async with httpx.AsyncClient(transport=Transport(tls, idle_seconds=5), timeout=10) as client:
        yield client


async def request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Head and body of the next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
    return head, await reader.readexactly(int(length or 0))


def answering(*answers: bytes) -> Script:
    """Answer each request of a connection with the next of these, then hang up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request(reader)
            writer.write(answer)
            await writer.drain()

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("name", ["", "127.0.0.1"])
async def test_connections_are_kept(
    client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]], name: str
) -> None:
    """The next request goes over the connection of the last one, with and without TLS."""
    server = await serving(answering(OK, OK, OK), name)

    for _ in range(3):
        assert (await client.get(server.url)).text == "ok"

    assert server.connections == 1


async def test_requests_at_once(client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]]) -> None:
    """Each has a connection of its own."""
    all_are_here = asyncio.Barrier(5)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await all_are_here.wait()
        writer.write(OK)

    server = await serving(script)

    answers = await asyncio.gather(*(client.get(server.url) for _ in range(5)))

    assert [answer.text for answer in answers] == ["ok"] * 5


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
    ],
    ids=["hung up afterwards", "close", "an answer too much", "until the end", "chunked", "hints"],
)
async def test_a_connection_that_has_ended_is_not_used_again(
    client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]], answer: bytes
) -> None:
    """However an answer is framed it is read whole, and nothing that comes after it is taken for the next one."""
    server = await serving(answering(answer))

    for _ in range(2):
        assert (await client.get(server.url)).text == "ok"
        await server.ended.wait()
        server.ended.clear()

    assert server.connections == 2


@pytest.mark.parametrize("idle_seconds", [0, 0.001])
async def test_a_connection_is_not_kept_for_longer(
    serving: Callable[..., Awaitable[Server]], idle_seconds: float
) -> None:
    """An origin where each connection must be new has it so, and one kept too long is closed."""
    server = await serving(answering(OK, OK))
    async with httpx.AsyncClient(transport=Transport(ssl.create_default_context(), idle_seconds)) as client:
        await client.get(server.url)
        await asyncio.sleep(0.01)
        await client.get(server.url)

    assert server.connections == 2


@pytest.mark.parametrize("name", ["", "127.0.0.1"])
async def test_large_bodies(client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]], name: str) -> None:
    """More than is read ahead, and more than may be on its way, goes and comes whole."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    server = await serving(echo, name)

    assert (await client.post(server.url, content=LARGE)).content == LARGE


async def test_what_nobody_reads_is_not_taken_in(
    client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]]
) -> None:
    """A server can only send what is read, and some buffers' worth: a long answer does not fill the memory."""
    sent = 0
    stuck = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        try:
            while True:
                writer.write(LARGE)
                async with asyncio.timeout(0.5):
                    await writer.drain()
                sent += len(LARGE)
        except TimeoutError:
            stuck.set()

    server = await serving(endless)

    async with client.stream("GET", server.url):
        await stuck.wait()

    assert sent < 16 * len(LARGE)


async def test_an_answer_before_the_whole_request(
    client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]]
) -> None:
    """A server that refuses a body and hangs up is heard all the same."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        writer.write_eof()
        while await reader.read(65536):
            pass

    server = await serving(refuse)

    answer = await client.post(server.url, content=LARGE)

    assert (answer.status_code, answer.reason_phrase, answer.text) == (413, "Too Large", "no")


async def hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Neither read nor answer."""
    await asyncio.sleep(60)


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Stop in the middle of an answer."""
    await request(reader)
    writer.write(OK[:-1])
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (answering(), httpx.RemoteProtocolError),
        (answering(OK[:20]), httpx.RemoteProtocolError),
        (answering(OK[:-1]), httpx.RemoteProtocolError),
        (answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), httpx.RemoteProtocolError),
        (answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), httpx.RemoteProtocolError),
        (stall, httpx.ReadTimeout),
        (hang, httpx.WriteTimeout),
    ],
    ids=["nothing", "part of a head", "part of a body", "not HTTP", "endless head", "stalled", "not reading"],
)
async def test_failures(
    client: httpx.AsyncClient,
    serving: Callable[..., Awaitable[Server]],
    script: Script,
    failure: type[httpx.TransportError],
) -> None:
    """Each is httpx's own error for it, and costs the connection."""
    server = await serving(script)
    body = LARGE * 4 if failure is httpx.WriteTimeout else b""

    with pytest.raises(failure):
        await client.post(server.url, content=body, timeout=httpx.Timeout(10, read=0.2, write=0.2))


async def test_nobody_listens(client: httpx.AsyncClient) -> None:
    """A refused connection is told apart from one that broke."""
    with pytest.raises(httpx.ConnectError, match=r"127\.0\.0\.1"):
        await client.get("http://127.0.0.1:1")


async def test_a_server_that_does_not_speak_tls(
    client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]]
) -> None:
    """A handshake that gets no answer ends in time; one that gets another answer is a failure to connect."""

    async def loud(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()

    silent, other = await serving(hang), await serving(loud)

    with pytest.raises(httpx.ConnectTimeout):
        await client.get(silent.url.replace("http:", "https:"), timeout=httpx.Timeout(10, connect=0.2))
    with pytest.raises(httpx.ConnectError):
        await client.get(other.url.replace("http:", "https:"))


async def test_the_certificate_is_the_servers(
    client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]]
) -> None:
    """It must be for the host, or for the name that is asked for in its stead; and connections know that name."""
    server = await serving(answering(OK, OK), "images.example")
    named = {"sni_hostname": "images.example"}

    with pytest.raises(httpx.ConnectError, match="certificate"):
        await client.get(server.url)
    assert (await client.get(server.url, extensions=named)).text == "ok"
    with pytest.raises(httpx.ConnectError, match="certificate"):
        await client.get(server.url)


async def test_who_gives_up_leaves_nothing_behind(
    client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]]
) -> None:
    """A request that is canceled closes its connection, and so does an answer that is not read to its end."""
    requested = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK[:-1])
        requested.set()
        await reader.readexactly(1)

    server = await serving(script)
    waiting = asyncio.create_task(client.get(server.url))
    await requested.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(server.ended.wait(), 10)

    server.ended.clear()
    async with client.stream("GET", server.url) as answer:
        assert answer.status_code == 200
    await asyncio.wait_for(server.ended.wait(), 10)


@pytest.mark.parametrize(
    ("url", "headers", "failure"),
    [
        ("http://127.0.0.1:{port}", {"X-Key": "a\r\nHost: b"}, httpx.LocalProtocolError),
        ("http://127.0.0.1:{port}", {"X Key": "a"}, httpx.LocalProtocolError),
        ("ftp://127.0.0.1:{port}", {}, httpx.UnsupportedProtocol),
    ],
)
async def test_what_must_not_be_sent(
    client: httpx.AsyncClient,
    serving: Callable[..., Awaitable[Server]],
    url: str,
    headers: dict[str, str],
    failure: type[Exception],
) -> None:
    """No header smuggles in another one, and nothing is spoken but HTTP."""
    server = await serving(answering(OK))

    with pytest.raises(failure):
        await client.get(url.format(port=server.url.rpartition(":")[2]), headers=headers)


async def test_what_is_sent(client: httpx.AsyncClient, serving: Callable[..., Awaitable[Server]]) -> None:
    """The target may be given as it is to be sent; a body of unknown length goes in chunks."""
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        heads.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    server = await serving(script)

    await client.put(f"{server.url}/x", content=parts(), extensions={"target": b"/a/../b"})

    assert heads[0].startswith(b"PUT /a/../b HTTP/1.1\r\n")
    assert heads[1] == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize("name", ["", "127.0.0.1"])
async def test_a_connection_that_was_reset_is_over(serving: Callable[..., Awaitable[Server]], name: str) -> None:
    """It is never taken for one that can be used, at no moment of its end."""
    reset = asyncio.Event()

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reset.wait()
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    server = await serving(script, name)
    tls = ssl.create_default_context()
    AUTHORITY.configure_trust(tls)
    stream = await connect("127.0.0.1", int(server.url.rpartition(":")[2]), tls if name else None, name, 10)
    # With TLS, tickets of its session come first.
    assert await stream.read(10) == b"x"
    assert stream.is_idle()
    reset.set()
    while stream.is_idle():  # noqa: ASYNC110 - it is asked, and tells nobody
        await asyncio.sleep(0)

    for _ in range(20):
        assert not stream.is_idle()
        await asyncio.sleep(0)

    with pytest.raises(httpx.ReadError):
        await stream.read(1)
    with pytest.raises(httpx.WriteError):
        await stream.write(b"x", 1)
    stream.close()
