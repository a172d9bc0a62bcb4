"""One TCP connection, with or without TLS, on asyncio's own transports."""

import asyncio
import select
import ssl
from collections import deque
from typing import Any

import httpx

_READ = 64 * 1024
_AHEAD = 4 * _READ
"""Bytes that are read before they are asked for, at most."""
_NEXT_ADDRESS_SECONDS = 0.25
"""How long a host's first address may take before the next one is tried too (RFC 8305)."""


async def connect(host: str, port: int, tls: ssl.SSLContext | None, name: str, seconds: float | None) -> "Stream":
    """Connect to the first of a host's addresses that answers.

    Args:
        host: a name or an address.
        port: of TCP.
        tls: how to speak TLS; None for none.
        name: whose certificate it must be.
        seconds: for all of it, TLS included.

    Raises:
        httpx.ConnectTimeout: nobody answers in time.
        httpx.ConnectError: nobody answers, or not who should.
    """
    try:
        async with asyncio.timeout(seconds):
            _, stream = await asyncio.get_running_loop().create_connection(
                Stream,
                host,
                port,
                ssl=tls,
                server_hostname=name if tls else None,
                happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS,
            )
    except TimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return stream


class Stream(asyncio.BufferedProtocol):
    """What is read and written; made by `connect`.

    What arrives is decrypted 64 KB at a time and read ahead of being asked for, so that reading sets no timer where
    something is there: 1.4 MB take 23 rounds.
    """

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = memoryview(bytearray(_READ))
        self._chunks: deque[bytes] = deque()
        self._ahead = 0
        self._ended = False
        self._lost = False
        self._failure: Exception | None = None
        self._full = False
        self._news: asyncio.Future[None] | None = None

    async def read(self, seconds: float | None) -> bytes:
        """What has arrived, as soon as there is something; nothing at the end.

        Raises:
            httpx.ReadTimeout: nothing came for so many seconds.
            httpx.ReadError: the connection broke.
        """
        if not self._chunks and not self._ended:
            try:
                await self._something(seconds)
            except TimeoutError:
                raise httpx.ReadTimeout(f"nothing came for {seconds:g} s") from None
        if self._chunks:
            chunk = self._chunks.popleft()
            self._ahead -= len(chunk)
            if self._ahead < _AHEAD <= self._ahead + len(chunk) and not self._lost:
                self._transport.resume_reading()
            return chunk
        if self._failure:
            raise httpx.ReadError(str(self._failure)) from self._failure
        return b""

    async def write(self, data: bytes, seconds: float | None) -> None:
        """Send; waits while much is on its way already.

        Raises:
            httpx.WriteTimeout: nothing went for so many seconds.
            httpx.WriteError: the connection has ended.
        """
        if not self._ended:
            self._transport.write(data)
        while self._full and not self._ended:
            try:
                await self._something(seconds)
            except TimeoutError:
                raise httpx.WriteTimeout(f"nothing went for {seconds:g} s") from None
        if self._ended:
            raise httpx.WriteError(str(self._failure or "the connection was closed")) from self._failure

    def close(self) -> None:
        """Close at once, without a word to the other side; the socket goes in the event loop's next round."""
        if not self._lost:
            self._transport.abort()

    def is_idle(self) -> bool:
        """Whether nothing came since it was read last, as it must be between two answers: not even an end.

        What happened while the loop stood still, as it does on Lambda, only the socket knows.
        """
        connected = self._transport.get_extra_info("socket")
        # Under TLS, a connection that broke has no socket for a moment before it is known to be lost.
        if self._ended or self._chunks or connected is None or connected.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(connected.fileno(), select.POLLIN)
        return not poll.poll(0)

    async def _something(self, seconds: float | None) -> None:
        self._news = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._news
        finally:
            self._news = None

    def _tell(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - a part of asyncio's protocol
        """Where the next bytes go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        self._chunks.append(bytes(self._buffer[:nbytes]))
        self._ahead += nbytes
        if self._ahead - nbytes < _AHEAD <= self._ahead:
            self._transport.pause_reading()
        self._tell()

    def eof_received(self) -> None:
        """No more will come."""
        self._ended = True
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """No more will come or go."""
        self._ended = self._lost = True
        self._failure = exc
        self._tell()

    def pause_writing(self) -> None:
        """Enough is on its way."""
        self._full = True

    def resume_writing(self) -> None:
        """Most of it has gone."""
        self._full = False
        self._tell()
