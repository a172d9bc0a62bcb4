"""A TCP connection, with or without TLS, on an asyncio transport."""

import asyncio
import ipaddress
import select
import ssl
from collections import deque
from typing import Any

import httpx

_BUFFER_BYTES = 64 * 1024
_MAX_UNREAD_BYTES = 4 * _BUFFER_BYTES
"""Receiving pauses when this many bytes wait to be read."""
_HAPPY_EYEBALLS_SECONDS = 0.25
"""Delay before a connection attempt to the host's next address starts in parallel (RFC 8305)."""


async def connect(host: str, port: int, tls: ssl.SSLContext | None, name: str, seconds: float | None) -> "Stream":
    """Connect to the first address of a host that accepts the connection.

    Args:
        host: a host name or an IP address.
        port: the TCP port.
        tls: the TLS settings; None for a connection without TLS.
        name: the host name that the certificate must be valid for.
        seconds: timeout for the connection with its TLS handshake; None for no limit.

    Raises:
        httpx.ConnectTimeout: the connection was not established in time.
        httpx.ConnectError: the connection was refused, or the certificate is not valid.
    """
    try:
        async with asyncio.timeout(seconds):
            _, stream = await asyncio.get_running_loop().create_connection(
                Stream,
                host,
                port,
                ssl=tls,
                server_hostname=name if tls else None,
                # With the delay, asyncio loses a connected socket if it is canceled at that moment.
                happy_eyeballs_delay=None if _is_address(host) else _HAPPY_EYEBALLS_SECONDS,
            )
    except TimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return stream


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Stream(asyncio.BufferedProtocol):
    """A connection that was made by `connect`: reads and writes bytes.

    asyncio decrypts arriving data in chunks of 64 KB and queues them here. A read needs no timer if a chunk is queued:
    1.4 MB take 23 iterations of the event loop.
    """

    def __init__(self) -> None:
        self._transport: Any = None
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._ended = False
        self._lost = False
        self._failure: Exception | None = None
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes as soon as some have arrived, or empty bytes at the end of the stream.

        Raises:
            httpx.ReadTimeout: no data arrived for `seconds`.
            httpx.ReadError: the connection failed.
        """
        if not self._chunks and not self._ended:
            try:
                await self._wait(seconds)
            except TimeoutError:
                raise httpx.ReadTimeout(f"no data arrived for {seconds:g} s") from None
        if self._chunks:
            chunk = self._chunks.popleft()
            self._unread -= len(chunk)
            if self._unread < _MAX_UNREAD_BYTES <= self._unread + len(chunk) and not self._lost:
                self._transport.resume_reading()
            return chunk
        if self._failure:
            raise httpx.ReadError(str(self._failure)) from self._failure
        return b""

    async def write(self, data: bytes, seconds: float | None) -> None:
        """Send bytes. Wait while asyncio's send buffer is full.

        Raises:
            httpx.WriteTimeout: the send buffer stayed full for `seconds`.
            httpx.WriteError: the connection was closed.
        """
        if not self._ended:
            self._transport.write(data)
        while self._paused and not self._ended:
            try:
                await self._wait(seconds)
            except TimeoutError:
                raise httpx.WriteTimeout(f"no data was sent for {seconds:g} s") from None
        if self._ended:
            raise httpx.WriteError(str(self._failure or "the connection was closed")) from self._failure

    def close(self) -> None:
        """Close at once, without a TLS shutdown. The event loop closes the socket in its next iteration."""
        if not self._lost:
            self._transport.abort()

    def is_idle(self) -> bool:
        """Return whether nothing has arrived since the last read, neither data nor the end of the stream.

        A connection between two responses must be idle. The socket itself is polled, because the event loop does not
        yet know what arrived while it was stopped, as it is on Lambda between invocations.
        """
        open_socket = self._transport.get_extra_info("socket")
        # A TLS connection that failed has no socket for a moment before `connection_lost` is called.
        if self._ended or self._chunks or open_socket is None or open_socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(open_socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    async def _wait(self, seconds: float | None) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._waiter
        finally:
            self._waiter = None

    def _notify(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    # The methods that asyncio calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is established."""
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return the buffer for the next bytes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Queue the bytes that arrived in the buffer."""
        self._chunks.append(bytes(self._buffer[:nbytes]))
        self._unread += nbytes
        if self._unread - nbytes < _MAX_UNREAD_BYTES <= self._unread:
            self._transport.pause_reading()
        self._notify()

    def eof_received(self) -> None:
        """The peer sends no more data."""
        self._ended = True
        self._notify()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed; `exc` is the failure, if there was one."""
        self._ended = self._lost = True
        self._failure = exc
        self._notify()

    def pause_writing(self) -> None:
        """The send buffer is full."""
        self._paused = True

    def resume_writing(self) -> None:
        """The send buffer has room again."""
        self._paused = False
        self._notify()
