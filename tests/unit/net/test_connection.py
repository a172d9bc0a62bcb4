"""TCP connections, with and without TLS."""

import asyncio
import gc
import socket
import ssl
import struct

import httpx
import pytest

from image_gateway.net.connection import Stream, connect
from tests.unit.net.scripted_server import AUTHORITY, StartServer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["", "127.0.0.1"])
async def test_a_reset_connection_is_not_idle(start_server: StartServer, name: str) -> None:
    """From the reset on, the connection is never idle, so it is not reused, and reads and writes fail."""
    reset = asyncio.Event()

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        await reset.wait()
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    server = await start_server(script, name)
    tls = ssl.create_default_context()
    AUTHORITY.configure_trust(tls)
    stream = await connect("127.0.0.1", int(server.url.rpartition(":")[2]), tls if name else None, name, 10)
    # With TLS, session tickets arrive before the data.
    assert await stream.read(10) == b"x"
    assert stream.is_idle()
    reset.set()
    while stream.is_idle():  # noqa: ASYNC110 - the stream has no event for this
        await asyncio.sleep(0)

    for _ in range(20):
        assert not stream.is_idle()
        await asyncio.sleep(0)

    with pytest.raises(httpx.ReadError):
        await stream.read(1)
    with pytest.raises(httpx.WriteError):
        await stream.write(b"x", 1)
    stream.close()


@pytest.mark.parametrize("steps", range(12))
async def test_a_canceled_connection_is_closed(steps: int) -> None:
    """Whenever a connection to an address is canceled, also just after the server accepted it, no socket is left."""
    async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        connecting = asyncio.create_task(connect("127.0.0.1", port, None, "127.0.0.1", 5))
        for _ in range(steps):
            await asyncio.sleep(0)
        connecting.cancel()

        (stream,) = await asyncio.gather(connecting, return_exceptions=True)

        if isinstance(stream, Stream):
            stream.close()
        with pytest.MonkeyPatch.context() as patch:
            leaked: list[object] = []
            patch.setattr("sys.unraisablehook", leaked.append)
            gc.collect()
        assert leaked == []
