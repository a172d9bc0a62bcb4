"""A fake internet: an image server behind public addresses, and a resolver of names."""

import asyncio
import gzip
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from image_gateway.net.public_addresses import is_public

IMAGE = b"\x89PNG\r\n\x1a\n and so on"
PUBLIC = "93.184.215.14"


class ImageServer:
    """A server with a path for each kind of response. It records its requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.requests.append(request)
        await self._respond(request)(scope, receive, send)

    def _respond(self, request: Request) -> Response:
        path, query = request.url.path, request.query_params
        if path == "/to":
            return RedirectResponse(query["url"], status_code=int(query.get("status", "302")))
        if path == "/redirects":
            left = int(query["left"])
            return RedirectResponse(f"/redirects?left={left - 1}" if left else "/image.png")
        if path == "/stream":
            return StreamingResponse(self._stream(int(query["bytes"])), media_type="image/png")
        if path == "/encoded":
            headers = {"content-encoding": query["encoding"]}
            return Response(gzip.compress(bytes(int(query["bytes"]))), headers=headers)
        if path == "/cookie":
            return Response(IMAGE, headers={"set-cookie": "who=somebody; Path=/"})
        if path == "/slow":
            return StreamingResponse(self._slow())
        if path == "/image.png":
            return Response(IMAGE)
        return Response(b"the body of an error", 404)

    async def _stream(self, total: int) -> AsyncIterator[bytes]:
        while self.sent < total:
            self.sent += 65_536
            yield bytes(65_536)

    async def _slow(self) -> AsyncIterator[bytes]:
        yield IMAGE
        await asyncio.sleep(30)


class FakeResolver:
    """Resolves names by a table, and records them. A list has the address for each call, in order.

    Resolution fails for a name without addresses.
    """

    def __init__(self, **names: str | list[str]) -> None:
        self.names = {name.replace("_", "."): addresses for name, addresses in names.items()}
        self.resolved: list[str] = []

    async def __call__(self, host: str, port: int) -> Iterable[str]:
        self.resolved.append(host)
        addresses = self.names.get(host)
        if addresses is None:
            raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port} is not known")
        if addresses == "":
            raise socket.gaierror(socket.EAI_AGAIN, "the resolver failed")
        return [addresses.pop(0)] if isinstance(addresses, list) else addresses.split()


class FakeInternet(httpx.AsyncBaseTransport):
    """A transport that connects public addresses to the test server, and other addresses as usual. It records hosts."""

    def __init__(self, base_url: str, unreachable: tuple[str, ...] = ()) -> None:
        self.base_url = httpx.URL(base_url)
        self.unreachable = unreachable
        self.connected: list[str] = []
        self.inner = httpx.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        self.connected.append(host)
        if host in self.unreachable:
            raise httpx.ConnectError("no route")
        if is_public(ipaddress.ip_address(host)):
            request.url = request.url.copy_with(host=self.base_url.host, port=self.base_url.port)
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()
