"""Real parts for every test: HTTP servers on free ports, and the AWS that moto's server embeds."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvicorn
from starlette.types import ASGIApp


@pytest.fixture
def anyio_backend() -> str:
    """Lambda's event loop is asyncio's."""
    return "asyncio"


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], str]]:
    """Serve an ASGI application over HTTP on a free port of 127.0.0.1; gives its base URL."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: ASGIApp) -> str:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread))
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)  # uvicorn gives no event to wait for
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, _thread in running:
        server.should_exit = True
    for _server, thread in running:
        thread.join(5)
