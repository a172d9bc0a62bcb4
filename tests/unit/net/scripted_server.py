"""A server that runs a script for each connection, and scripts for it."""

import asyncio
from collections.abc import Awaitable, Callable

import trustme

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Handles one connection of a server."""

LARGE = bytes(range(256)) * 16 * 1024
"""4 MB: more than all buffers of a connection can hold."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
AUTHORITY = trustme.CA()
"""Issues the certificates of servers, and is trusted by the fixture `client`."""


class ScriptedServer:
    """A server that runs a script for each connection, and counts connections."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.url = ""
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client or the test has ended
        finally:
            writer.close()
            self.ended.set()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read the next request, and return its head and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = head.lower().partition("content-length: ")[2].partition("\r\n")[0]
    return head, await reader.readexactly(int(length or 0))


def responding(*responses: bytes) -> Script:
    """Return a script that sends one of the responses for each request, and then closes the connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await read_request(reader)
            writer.write(response)
            await writer.drain()

    return script


StartServer = Callable[..., Awaitable[ScriptedServer]]
"""Starts a server with a script, and with TLS if a name for the certificate is given; a fixture of this folder."""
