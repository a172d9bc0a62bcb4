"""What every sandbox engine has: a record of what it was asked, and knobs for latency and failure."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

_LOOK_SECONDS = 0.02
"""How soon a change of the latency is seen."""


@dataclass
class Fault:
    """An answer given instead of the real one.

    Attributes:
        status: HTTP status; 0 closes the connection in the middle of an answer.
        body: the body, JSON where it is not a string.
        headers: further headers, such as `Retry-After`.
        times: how many requests get it; -1 for all.
        path: only requests whose path ends so.
        skip: how many fitting requests pass first.
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
        latency: how long a request takes at least, in seconds; a change counts for those that are in flight too.
        key: what the engine accepts; empty: any key.
        faults: in the order they are used.
    """

    latency: float = 0.0
    key: str = ""
    faults: list[Fault] = field(default_factory=list)


@dataclass
class Asked:
    """One request as the engine saw it.

    Attributes:
        method: the HTTP method.
        path: without the query.
        query: its parameters.
        headers: names in lower case.
        json: the body's JSON, or a multipart body's fields.
        files: one entry for each multipart file: `name`, `filename`, `content_type` and `size` in bytes.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    json: Any = None
    files: list[dict[str, Any]] = field(default_factory=list)


class _BrokenOff(Response):
    """Announces a body and ends without it; the server can only close the connection then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's signature
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


@dataclass
class SandboxState:
    """One engine's knobs and record, for the life of its server.

    Attributes:
        knobs: how it behaves.
        record: what it was asked, in order.
        in_flight: `POST` requests that wait for their answers now.
        most_in_flight: the most that ever did at once.
    """

    knobs: Knobs = field(default_factory=Knobs)
    record: list[Asked] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def note(self, request: Request, *, body: Any = None, files: list[dict[str, Any]] | None = None) -> None:
        """Keep what was asked."""
        self.record.append(
            Asked(
                request.method, request.url.path, dict(request.query_params), dict(request.headers), body, files or []
            )
        )

    async def trouble(self, request: Request) -> Response | None:
        """Wait for the latency set, then give the fault that is due for this request, if any."""
        if request.method == "POST":
            await self._take_time()
        for fault in self.knobs.faults:
            if fault.times == 0 or not request.url.path.endswith(fault.path):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.status == 0:
                return _BrokenOff()
            if isinstance(fault.body, str):
                kind = "text/html" if fault.body.startswith("<") else "text/plain"
                return Response(fault.body, fault.status, fault.headers, kind)
            return JSONResponse(fault.body, fault.status, fault.headers)
        return None

    async def _take_time(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await elapsed(lambda: self.knobs.latency, asyncio.Event())
        finally:
            self.in_flight -= 1


async def elapsed(seconds: Callable[[], float], stop: asyncio.Event) -> bool:
    """Wait for as long as `seconds` says, which may change meanwhile, or until `stop` is set; True where it was."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while (left := seconds() - (loop.time() - begun)) > 0:
        try:
            async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                return await stop.wait()
        except TimeoutError:
            continue
    return stop.is_set()


def control_routes(state: SandboxState) -> list[Route]:
    """`GET /sandbox/record`, `PUT /sandbox/knobs` (fields of `Knobs`) and `DELETE /sandbox` (start afresh)."""

    async def record(_request: Request) -> Response:
        return JSONResponse([asdict(requested) for requested in state.record])

    async def knobs(request: Request) -> Response:
        wanted = await request.json()
        faults = [Fault(**fault) for fault in wanted.pop("faults", [])]
        known = {item.name for item in fields(Knobs)}
        if unknown := sorted(set(wanted) - known):
            return JSONResponse({"error": f"unknown knobs: {', '.join(unknown)}"}, 400)
        state.knobs = Knobs(**wanted, faults=faults)
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
