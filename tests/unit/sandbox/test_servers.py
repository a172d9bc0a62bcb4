"""The sandbox's HTTP servers."""

import asyncio
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.errors import SandboxError
from sandbox.servers import HttpServer, listening_socket

pytestmark = pytest.mark.anyio


def nodelay(connected: socket.socket) -> bool:
    return bool(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


async def test_responses_are_sent_without_delay() -> None:
    """The server's connections have TCP_NODELAY: a response of several writes does not wait for acknowledgements."""
    found: list[bool] = []

    async def look(_request: Request) -> Response:
        connections = server._server.server_state.connections
        found.extend(nodelay(one.transport.get_extra_info("socket")) for one in connections)
        return Response()

    server = HttpServer(Starlette(routes=[Route("/", look)]))
    async with server, httpx.AsyncClient(trust_env=False) as client:
        await client.get(server.url)

    assert found == [True]


async def test_accepted_connections_have_no_delay() -> None:
    """Whatever accepts connections at the sandbox's sockets: the tests' own servers do."""
    found: list[bool] = []

    async def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.append(nodelay(writer.get_extra_info("socket")))
        writer.close()

    listener = listening_socket()
    async with await asyncio.start_server(look, sock=listener):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        await reader.read()
        writer.close()

    assert found == [True]


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_number_that_is_no_port(port: int) -> None:
    """It is refused with a message that says what to do."""
    with pytest.raises(SandboxError, match=rf"Port {port} cannot be used \(.*: choose another one, PORT=8123"):
        HttpServer(Starlette(), port)
