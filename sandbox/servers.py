"""HTTP servers that run in the sandbox's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from sandbox.errors import SandboxError

_IDLE_SECONDS = 3600
"""How long a connection without requests stays open. Lambda's longest invocation takes 900 s."""


def listening_socket(port: int = 0) -> socket.socket:
    """Return a socket that listens on 127.0.0.1, for an event loop to accept its connections.

    The socket is created with TCP's protocol number, which accepted sockets inherit: asyncio sets TCP_NODELAY only on
    sockets that have it, and without TCP_NODELAY a response of two writes takes 40 ms longer.

    Args:
        port: the port number; 0 uses any free port.

    Raises:
        OSError: the port cannot be used.
        OverflowError: the number is not a port.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(256)
    except BaseException:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    async def main_loop(self) -> None:
        """Wake up each second, for the `Date` header; uvicorn does so ten times, for each of the sandbox's servers."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    def stop(self) -> None:
        """Stop soon; open requests have `timeout_graceful_shutdown` to complete."""
        self.should_exit = True
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the sandbox, which stops all servers together."""
        yield


class HttpServer:
    """Serves an ASGI application on 127.0.0.1 during an `async with` block.

    Args:
        app: the application.
        port: the port number; 0 uses any free port.

    Raises:
        SandboxError: the port cannot be used.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        try:
            self._socket = listening_socket(port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SandboxError(f"Port {port} cannot be used ({reason}): choose another one, PORT=8123") from None
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        options = uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            # Clients that send a request at the moment when an idle connection is closed would lose it.
            timeout_keep_alive=_IDLE_SECONDS,
        )
        self._server = _Server(options)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start accepting connections, including those made since the port was opened."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; open requests have one second to complete."""
        self._server.stop()
        if self._task:
            await self._task
        self._socket.close()
