"""HTTP/1.1 for `httpx`: the protocol by h11, as httpcore does it, without what httpcore and anyio put around it.

Of a request that costs 1.1 ms of CPU through httpx and httpcore, signature and all, 0.7 are httpcore's and 0.1 h11's.
"""

import asyncio
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import contextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, NamedTuple, cast

import h11
import httpx

from image_gateway.net.connection import Stream, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_GATHERED = 64 * 1024
_LONGEST_HEADERS = 100 * 1024
_PORTS = {"http": 80, "https": 443}


def no_cookies() -> CookieJar:
    """A jar for a client that talks to many servers: it takes no cookie, as what one sets is no other's to see."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int
    name: str


class Transport(httpx.AsyncBaseTransport):
    """Sends requests over connections that are kept for the next ones. As many are opened as requests come at once.

    Takes httpx's extensions `timeout` (without its `pool`), `target` and `sni_hostname`.

    Args:
        tls: how to speak TLS.
        idle_seconds: how long a connection is kept; 0 keeps none.
    """

    def __init__(self, tls: ssl.SSLContext, idle_seconds: float) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._idle_seconds = idle_seconds
        self._idle: defaultdict[_Origin, deque[_Connection]] = defaultdict(deque)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the head of its answer.

        Raises:
            httpx.TransportError: it could not be sent, or was not answered.
        """
        origin = _origin(request)
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        connection = self._kept(origin)
        if connection is None:
            tls = self._tls if origin.scheme == "https" else None
            stream = await connect(origin.host, origin.port, tls, origin.name, timeouts.get("connect"))
            connection = _Connection(stream)
        try:
            head = await connection.exchange(request, timeouts)
        except BaseException:
            connection.close()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(self, origin, connection, timeouts.get("read")),
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            for connection in self._idle.popitem()[1]:
                connection.close()
        # The loop closes their sockets in its next round.
        await asyncio.sleep(0)

    def release(self, origin: _Origin, connection: "_Connection") -> None:
        """Keep a connection whose answer has been read to its end; close any other, and those kept too long."""
        now = asyncio.get_running_loop().time()
        for kept in self._idle.values():
            while kept and kept[0].expires < now:
                kept.popleft().close()
        if self._idle_seconds and connection.ready():
            connection.expires = now + self._idle_seconds
            self._idle[origin].append(connection)
        else:
            connection.close()

    def _kept(self, origin: _Origin) -> "_Connection | None":
        """The connection of that origin that was used last, if it still stands."""
        # Not by its key, which would keep a word of every origin there ever was.
        kept = self._idle.get(origin)
        now = asyncio.get_running_loop().time()
        while kept:
            connection = kept.pop()
            if connection.expires >= now and connection.stream.is_idle():
                return connection
            connection.close()
        return None


class _Connection:
    """A stream that speaks HTTP/1.1."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.expires = 0.0
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEADERS)

    async def exchange(self, request: httpx.Request, timeouts: "Mapping[str, float | None]") -> h11.Response:
        """Send a request; give the head of its answer."""
        # A server that does not want all of a body may have answered before it hung up.
        with suppress(httpx.WriteError):
            await self._send(request, timeouts.get("write"))
        while True:
            event = await self.event(timeouts.get("read"))
            if isinstance(event, h11.Response):
                return event

    async def _send(self, request: httpx.Request, seconds: float | None) -> None:
        target = request.extensions.get("target", request.url.raw_path)
        with _by_the_protocol():
            head = h11.Request(method=request.method.encode(), target=target, headers=request.headers.raw)
            # What is short goes in one piece.
            waiting = self._protocol.send(head) or b""
            async for part in cast("httpx.AsyncByteStream", request.stream):
                waiting += self._protocol.send(h11.Data(data=part)) or b""
                if len(waiting) >= _GATHERED:
                    await self.stream.write(waiting, seconds)
                    waiting = b""
            waiting += self._protocol.send(h11.EndOfMessage()) or b""
        if waiting:
            await self.stream.write(waiting, seconds)

    async def event(self, seconds: float | None) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """What comes next of an answer."""
        with _by_the_protocol():
            while True:
                event = self._protocol.next_event()
                if event is not h11.NEED_DATA:
                    return event
                data = await self.stream.read(seconds)
                if not data and self._protocol.their_state is h11.SEND_RESPONSE:
                    raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
                self._protocol.receive_data(data)

    def ready(self) -> bool:
        """Whether both sides have said all, and the next request can be sent; makes it so."""
        protocol = self._protocol
        if protocol.our_state is not h11.DONE or protocol.their_state is not h11.DONE or protocol.trailing_data[0]:
            return False
        protocol.start_next_cycle()
        return True

    def close(self) -> None:
        self.stream.close()


class _Body(httpx.AsyncByteStream):
    """The body of an answer. Its connection is free when it is closed, which httpx sees to."""

    def __init__(self, pool: Transport, origin: _Origin, connection: _Connection, timeout: float | None) -> None:
        self._pool = pool
        self._origin = origin
        self._connection: _Connection | None = connection
        self._timeout = timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection:
            event = await self._connection.event(self._timeout)
            if not isinstance(event, h11.Data):
                break
            yield bytes(event.data)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            self._pool.release(self._origin, connection)


def _origin(request: httpx.Request) -> _Origin:
    url = request.url
    if url.scheme not in _PORTS:
        raise httpx.UnsupportedProtocol(f"{url.scheme or 'no scheme'} is neither http nor https")
    host = url.raw_host.decode("ascii")
    return _Origin(url.scheme, host, url.port or _PORTS[url.scheme], request.extensions.get("sni_hostname", host))


@contextmanager
def _by_the_protocol() -> "Iterator[None]":
    try:
        yield
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error)) from error
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
