"""A proxy between the functions' processes and embedded AWS. It lets requests fail, and knows who sent them."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.chaos.fault_responses import conflict_response, fault_response
from tests.chaos.faults import Call, Fault, FaultPlan

_MAX_HEAD_BYTES = 2**18
_SCOPE = re.compile(rb"Credential=[^/]+/\d{8}/[^/]+/(\w+)/aws4_request", re.IGNORECASE)
_TARGET = re.compile(rb"^x-amz-target:\s*\w+\.(\w+)", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class AwsRequest:
    """A request to AWS.

    Attributes:
        pid: the process that sent it; 0 if it is not known.
        call: what it does.
        head: the request line and the headers, with the empty line.
        body: the body.
    """

    pid: int
    call: Call | None
    head: bytes
    body: bytes


Observer = Callable[[AwsRequest], bool]
"""Sees a request before it is executed, or after that. Returns True if its sender was killed."""


class FaultProxy:
    """Forwards requests during an `async with` block.

    Args:
        plan: chooses which requests fail.
        sender: returns the process of a connection, from its port on the sender's side.
        upstream: returns the URL of embedded AWS.

    Attributes:
        before: observers of requests that are not executed yet.
        after: observers of requests that were executed.
        url: the proxy's URL.
    """

    def __init__(self, plan: FaultPlan, sender: Callable[[int], int], upstream: Callable[[], str]) -> None:
        self._plan = plan
        self._sender = sender
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._executing: Counter[int] = Counter()
        self._connections: set[_Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.before: list[Observer] = []
        self.after: list[Observer] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", limit=_MAX_HEAD_BYTES)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the port and all connections."""
        assert self._server
        self._server.close()
        for connection in self._connections:
            connection.close()
        await asyncio.gather(*self._serving)

    def senders(self) -> set[int]:
        """Return the processes whose requests are being executed now. That is not undone when the process dies."""
        return {pid for pid, requests in self._executing.items() if requests and pid}

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(_Connection(reader, writer)))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, connection: "_Connection") -> None:
        pid = self._sender(connection.port)
        self._connections.add(connection)
        try:
            while (request := await connection.read(pid)) and await self._answer(connection, request):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the process ended, or it gave up
        finally:
            self._connections.discard(connection)
            connection.close()
            await connection.upstream_closed()

    async def _answer(self, connection: "_Connection", request: AwsRequest) -> bool:
        """Answer a request; return False if no further request can follow on the connection."""
        if self._observed(self.before, request):
            return False
        fault = self._plan.choose(request.call) if request.call else None
        if fault in (None, Fault.CUT_AFTER, Fault.SILENCE_AFTER):
            response = await self._execute(connection, request)
            if self._observed(self.after, request):
                return False
        elif fault in (Fault.CUT, Fault.SILENCE):
            response = b""
        elif fault is Fault.CONFLICT:
            response = conflict_response(request.body)
        else:
            assert request.call
            assert fault
            response = fault_response(request.call.service, fault)
        if fault in (Fault.CUT, Fault.CUT_AFTER):
            return False
        if fault in (Fault.SILENCE, Fault.SILENCE_AFTER):
            await connection.wait_for_end()
            return False
        await connection.write(response)
        return True

    async def _execute(self, connection: "_Connection", request: AwsRequest) -> bytes:
        self._executing[request.pid] += 1
        try:
            return await connection.exchange(self._upstream(), request)
        finally:
            self._executing[request.pid] -= 1

    @staticmethod
    def _observed(observers: list[Observer], request: AwsRequest) -> bool:
        return any(observer(request) for observer in observers)


class _Connection:
    """A connection of a process, with a connection of its own to embedded AWS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.port: int = writer.get_extra_info("peername")[1]

    async def read(self, pid: int) -> AwsRequest | None:
        """Return the next request; None after the last one."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return AwsRequest(pid, _call(head), head, body)

    async def exchange(self, url: str, request: AwsRequest) -> bytes:
        """Send a request to embedded AWS, and return its response."""
        if self._upstream is None:
            address = urlsplit(url)
            self._upstream = await asyncio.open_connection(address.hostname, address.port, limit=_MAX_HEAD_BYTES)
        reader, writer = self._upstream
        writer.write(request.head + request.body)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        has_body = not request.head.startswith(b"HEAD ") and head[9:12] not in (b"204", b"304")
        length = _LENGTH.search(head) if has_body else None
        return head + (await reader.readexactly(int(length[1])) if length else b"")

    async def write(self, response: bytes) -> None:
        """Send a response to the process."""
        self._writer.write(response)
        await self._writer.drain()

    async def wait_for_end(self) -> None:
        """Wait until the process closes the connection."""
        while await self._reader.read(2**16):
            pass

    def close(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()

    async def upstream_closed(self) -> None:
        """Close the connection to embedded AWS."""
        if self._upstream:
            self._upstream[1].close()
            with suppress(OSError):
                await self._upstream[1].wait_closed()


def _call(head: bytes) -> Call | None:
    """Return what a signed request does; None for one with a presigned URL, which no function sends."""
    scope = _SCOPE.search(head)
    if scope is None:
        return None
    target = _TARGET.search(head)
    operation = target[1] if target else head.partition(b" ")[0]
    return Call(scope[1].decode(), operation.decode())
