"""The state of every sandbox engine: a record of its requests, and knobs for latency and failures."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

_POLL_SECONDS = 0.02
"""How soon a change of the latency takes effect."""


@dataclass
class Fault:
    """A response that replaces the real one.

    Attributes:
        status: HTTP status; 0 closes the connection in the middle of a response.
        body: the body; sent as JSON unless it is a string.
        headers: further headers, such as `Retry-After`.
        times: how many requests get it; -1 for all.
        path: only requests whose path ends with this get it.
        skip: how many matching requests get the real response first.
    """

    status: int = 500
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    path: str = ""
    skip: int = 0


@dataclass
class Knobs:
    """How the engine behaves.

    Attributes:
        latency: minimum seconds of a request; a change also affects requests in flight.
        key: the key that the engine accepts; empty: any key.
        faults: the faults, in the order of use.
        size_multiple: of AUTOMATIC1111: sizes are made multiples of it, as by stable-diffusion.cpp (64); 8 rounds down.
        max_pixels: of AUTOMATIC1111: a larger size exceeds its memory.
    """

    latency: float = 0.0
    key: str = ""
    faults: list[Fault] = field(default_factory=list)
    size_multiple: int = 8
    max_pixels: int = 8_000_000


@dataclass
class RecordedRequest:
    """A request as the engine received it.

    Attributes:
        method: the HTTP method.
        path: the path without the query.
        query: the query parameters.
        headers: the headers, with names in lower case.
        json: the JSON of the body, or the fields of a multipart body.
        files: one entry for each multipart file: `name`, `filename`, `content_type` and `size` in bytes.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    json: Any = None
    files: list[dict[str, Any]] = field(default_factory=list)


class _IncompleteResponse(Response):
    """Announces a body and ends without it, so that the server has to close the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


@dataclass
class SandboxState:
    """One engine's knobs and record, for the life of its server.

    Attributes:
        knobs: how the engine behaves.
        record: the requests, in the order of arrival.
        in_flight: number of `POST` requests without a response at this time.
        max_in_flight: the largest number of such requests at any time.
    """

    knobs: Knobs = field(default_factory=Knobs)
    record: list[RecordedRequest] = field(default_factory=list)
    in_flight: int = 0
    max_in_flight: int = 0

    async def record_request(
        self, request: Request, *, body: Any = None, files: list[dict[str, Any]] | None = None
    ) -> None:
        """Add a request to the record."""
        self.record.append(
            RecordedRequest(
                request.method, request.url.path, dict(request.query_params), dict(request.headers), body, files or []
            )
        )

    async def apply_knobs(self, request: Request) -> Response | None:
        """Wait for the latency, if the request is a `POST`; then return the response of the fault to apply, if any."""
        if request.method == "POST":
            await self._wait_for_latency()
        for fault in self.knobs.faults:
            if fault.times == 0 or not request.url.path.endswith(fault.path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.status == 0:
                return _IncompleteResponse()
            if isinstance(fault.body, str):
                kind = "text/html" if fault.body.startswith("<") else "text/plain"
                return Response(fault.body, fault.status, fault.headers, kind)
            return JSONResponse(fault.body, fault.status, fault.headers)
        return None

    async def _wait_for_latency(self) -> None:
        with self.counted():
            await elapsed(lambda: self.knobs.latency, asyncio.Event())

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request as in flight for the duration of the block."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1


async def elapsed(seconds: Callable[[], float], stop: asyncio.Event) -> bool:
    """Wait for `seconds()`, whose value may change meanwhile, or until `stop` is set. Returns whether it was set."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while (left := seconds() - (loop.time() - started)) > 0:
        try:
            async with asyncio.timeout(min(left, _POLL_SECONDS)):
                return await stop.wait()
        except TimeoutError:
            continue
    return stop.is_set()


def control_routes(state: SandboxState) -> list[Route]:
    """Return the routes `GET /sandbox/record`, `PUT /sandbox/knobs` (fields of `Knobs`), `DELETE /sandbox` (reset)."""

    async def record(_request: Request) -> Response:
        return JSONResponse([asdict(request) for request in state.record])

    async def knobs(request: Request) -> Response:
        values = await request.json()
        faults = [Fault(**fault) for fault in values.pop("faults", [])]
        known = {item.name for item in fields(Knobs)}
        if unknown := sorted(set(values) - known):
            return JSONResponse({"error": f"unknown knobs: {', '.join(unknown)}"}, 400)
        state.knobs = Knobs(**values, faults=faults)
        return JSONResponse(asdict(state.knobs))

    async def reset(_request: Request) -> Response:
        state.knobs = Knobs()
        state.record.clear()
        return Response(status_code=204)

    return [
        Route("/sandbox/record", record, methods=["GET"]),
        Route("/sandbox/knobs", knobs, methods=["PUT"]),
        Route("/sandbox", reset, methods=["DELETE"]),
    ]
