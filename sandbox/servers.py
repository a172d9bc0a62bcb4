"""HTTP servers that live in the sandbox's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from sandbox.errors import SandboxError


def listening(port: int = 0) -> socket.socket:
    """A socket that takes connections on 127.0.0.1, for an event loop to accept them.

    It is made with TCP's protocol number, which accepted sockets inherit: asyncio sets TCP_NODELAY only on sockets
    that have it, and without TCP_NODELAY a response of two writes takes 40 ms longer.

    Args:
        port: 0 takes a free one.

    Raises:
        OSError: the port cannot be used.
        OverflowError: there is no such port.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        made.listen(256)
    except BaseException:
        made.close()
        raise
    return made


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the sandbox, which ends all servers at once."""
        yield


class HttpServer:
    """Serves an ASGI application on 127.0.0.1 while the `async with` block runs.

    Args:
        app: the application.
        port: 0 takes a free one.

    Raises:
        SandboxError: the port cannot be used.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        try:
            self._socket = listening(port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SandboxError(f"Port {port} cannot be used ({reason}): choose another one, PORT=8123") from None
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        options = uvicorn.Config(
            app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = _Server(options)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start answering; what has connected before gets its answer now."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, giving open requests a second."""
        self._server.should_exit = True
        if self._task:
            await self._task
        self._socket.close()
