"""What every sandbox engine has: a record of what it was asked, and knobs for latency and failure."""

import asyncio
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


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
    """Latency in seconds, the key that the engine accepts (empty: any), and faults in the order they are used."""

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
    """One engine's knobs and record, for the life of its server."""

    knobs: Knobs = field(default_factory=Knobs)
    record: list[Asked] = field(default_factory=list)

    async def note(self, request: Request, *, body: Any = None, files: list[dict[str, Any]] | None = None) -> None:
        """Keep what was asked."""
        self.record.append(
            Asked(
                request.method, request.url.path, dict(request.query_params), dict(request.headers), body, files or []
            )
        )

    async def trouble(self, request: Request) -> Response | None:
        """Wait for the latency set, then give the fault that is due for this request, if any."""
        if self.knobs.latency and request.method == "POST":
            await asyncio.sleep(self.knobs.latency)
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
