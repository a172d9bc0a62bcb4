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
from tests import web
from tests.loop_time import controlled_time

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
    async with server, httpx.AsyncClient(verify=web.TLS, trust_env=False) as client:
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


async def test_an_idle_connection_stays_open() -> None:
    """The runtime client posts the response of a long invocation on the connection on which it got the event."""
    server = HttpServer(Starlette(routes=[Route("/", lambda _request: Response())]))
    request = b"GET / HTTP/1.1\r\nHost: sandbox\r\n\r\n"
    with controlled_time(asyncio.get_running_loop()) as time:
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            time.advance(900)
            # Two turns of the loop, in which the server could close the connection.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            writer.write(request)
            second_response = await reader.read(12)
            writer.close()

    assert second_response == b"HTTP/1.1 200"


@pytest.mark.parametrize("port", [70_000, -1])
def test_an_invalid_port_number_is_refused(port: int) -> None:
    """A number that is not a port is refused with a message that suggests another one."""
    with pytest.raises(SandboxError, match=rf"Port {port} cannot be used \(.*: choose another one, PORT=8123"):
        HttpServer(Starlette(), port)
