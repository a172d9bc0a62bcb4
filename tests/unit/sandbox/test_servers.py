"""The sandbox's HTTP servers send responses without delay, and report unusable ports."""

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


def has_nodelay(connection: socket.socket) -> bool:
    return bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


async def test_server_connections_have_tcp_nodelay() -> None:
    """The server's connections have TCP_NODELAY: a response of several writes does not wait for acknowledgements."""
    nodelay: list[bool] = []

    async def inspect(_request: Request) -> Response:
        connections = server._server.server_state.connections
        nodelay.extend(has_nodelay(connection.transport.get_extra_info("socket")) for connection in connections)
        return Response()

    server = HttpServer(Starlette(routes=[Route("/", inspect)]))
    async with server, httpx.AsyncClient(trust_env=False) as client:
        await client.get(server.url)

    assert nodelay == [True]


async def test_connections_of_a_listening_socket_have_tcp_nodelay() -> None:
    """Connections of a listening socket have TCP_NODELAY in any asyncio server, such as the tests' own servers."""
    nodelay: list[bool] = []

    async def inspect(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nodelay.append(has_nodelay(writer.get_extra_info("socket")))
        writer.close()

    listener = listening_socket()
    async with await asyncio.start_server(inspect, sock=listener):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        await reader.read()
        writer.close()

    assert nodelay == [True]


@pytest.mark.parametrize("port", [70_000, -1])
def test_an_invalid_port_number_is_refused(port: int) -> None:
    """A number that is not a port is refused with a message that suggests another one."""
    with pytest.raises(SandboxError, match=rf"Port {port} cannot be used \(.*: choose another one, PORT=8123"):
        HttpServer(Starlette(), port)
