"""The program of a measured process: runs under Lambda's Python, sees what Lambda shows, writes figures as JSON.

`python -I -S -B measured.py STARTED SPEC`: the monotonic second at which it was started, and what to do as JSON, whose
`path` goes before `sys.path` as Lambda puts function, layers and runtime there. The process ends without the
interpreter's own clearing up, for which Lambda has no time either.
"""

import json
import os
import sys
import time
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is not to be paid for by a handler that does without
    from collections.abc import Awaitable, Callable
    from typing import Any

    from mangum.types import LambdaConfig

    Spec = dict[str, Any]
    Figures = dict[str, Any]


class Context:
    """What Lambda tells a handler of its invocation."""

    function_name = "benchmark"
    aws_request_id = "00000000-0000-4000-8000-000000000000"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:benchmark"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds that are left."""
        return 900_000


def cold(spec: "Spec", started: float) -> "Figures":
    """From the process's start to its first answer: when it was ready for it, when it gave it, and its CPU time."""
    handler = _handler(spec)
    ready = time.monotonic()
    _check(handler(_event(spec), Context()), spec)
    answered = time.monotonic()
    return {
        "ready_ms": (ready - started) * 1e3,
        "wall_ms": (answered - started) * 1e3,
        "cpu_ms": time.process_time() * 1e3,
        "modules": len(sys.modules),
    }


def answer(spec: "Spec", _started: float) -> "Figures":
    """What the handler answers."""
    return dict(_handler(spec)(spec["event"], Context()))


def warm(spec: "Spec", _started: float) -> "Figures":
    """Request after request: milliseconds and CPU milliseconds of each."""
    handler = _handler(spec)
    return _each(lambda: _check(handler(_event(spec), Context()), spec), spec)


def direct(spec: "Spec", _started: float) -> "Figures":
    """The same, of a client that asks the engine itself and reads the answer's JSON."""
    import httpx

    client = httpx.Client(timeout=60)
    return _each(lambda: client.post(spec["url"], json=spec["json"]).raise_for_status().json()["data"][0], spec)


def at_once(spec: "Spec", _started: float) -> "Figures":
    """Requests at once through the ASGI application of the handler's module, on one event loop."""
    import asyncio

    from mangum.handlers import HTTPGateway

    module, _, _name = spec["handler"].rpartition(".")
    app = import_module(module).app

    context: Any = Context()
    config: LambdaConfig = {"api_gateway_base_path": "/", "text_mime_types": [], "exclude_headers": []}

    async def one() -> None:
        request = HTTPGateway(_event(spec), context, config)
        reported: list[Any] = []

        async def receive() -> "Any":
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: "Any") -> None:
            reported.append(message)

        await app(request.scope, receive, send)
        body = b"".join(message.get("body", b"") for message in reported)
        _check({"statusCode": reported[0]["status"], "body": body.decode()}, spec)

    return asyncio.run(_crowd(one, spec))


def direct_at_once(spec: "Spec", _started: float) -> "Figures":
    """The same, of a client that asks the engine itself."""
    import asyncio

    import httpx

    async def run() -> "Figures":
        async with httpx.AsyncClient(timeout=60) as client:

            async def one() -> None:
                answer = await client.post(spec["url"], json=spec["json"])
                answer.raise_for_status().json()

            return await _crowd(one, spec)

    return asyncio.run(run())


def memory(spec: "Spec", _started: float) -> "Figures":
    """The most memory that the process ever held, in bytes, before and after one request."""
    handler = _handler(spec)
    before = _memory("VmHWM")
    _check(handler(_event(spec), Context()), spec)
    return {"ready": before, "peak": _memory("VmHWM")}


def growth(spec: "Spec", _started: float) -> "Figures":
    """Memory held after a tenth of many requests, after half of them, and after all."""
    handler = _handler(spec)
    held = []
    for number in range(1, spec["count"] + 1):
        _check(handler(_event(spec), Context()), spec)
        if number in (spec["count"] // 10, spec["count"] // 2, spec["count"]):
            held.append(_memory("VmRSS"))
    return {"held": held}


def batches(spec: "Spec", _started: float) -> "Figures":
    """Invocations with a batch of messages each: milliseconds and CPU milliseconds of each."""
    handler = _handler(spec)
    figures: dict[str, list[float]] = {"wall_ms": [], "cpu_ms": []}
    for event in spec["events"]:
        wall, cpu = time.perf_counter(), time.process_time()
        failed = handler(event, Context())["batchItemFailures"]
        figures["wall_ms"].append((time.perf_counter() - wall) * 1e3)
        figures["cpu_ms"].append((time.process_time() - cpu) * 1e3)
        if failed:
            raise SystemExit(f"messages came back: {failed}")
    return figures


def _handler(spec: "Spec") -> "Callable[[Any, Any], Any]":
    module, _, name = spec["handler"].rpartition(".")
    handler: Callable[[Any, Any], Any] = getattr(import_module(module), name)
    return handler


def _event(spec: "Spec") -> "Any":
    """The event, as if it had just come in: a gateway may go by how long ago that was."""
    event = spec["event"]
    event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
    return event


def _check(answer: "Any", spec: "Spec") -> None:
    """End where the answer is not what was asked for: a fast error is no figure."""
    if answer["statusCode"] != spec["status"] or spec["contains"] not in answer["body"]:
        raise SystemExit(f"answered {answer['statusCode']}: {answer['body'][:500]}")


def _each(work: "Callable[[], object]", spec: "Spec") -> "Figures":
    for _ in range(spec["warm_up"]):
        work()
    figures: dict[str, list[float]] = {"wall_ms": [], "cpu_ms": []}
    for _ in range(spec["count"]):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        figures["wall_ms"].append((time.perf_counter() - wall) * 1e3)
        figures["cpu_ms"].append((time.process_time() - cpu) * 1e3)
    return figures


async def _crowd(one: "Callable[[], Awaitable[None]]", spec: "Spec") -> "Figures":
    """Do `count` pieces of work, always `at_once` of them together; first as many to warm up."""
    import asyncio

    async def some(count: int, walls: list[float]) -> None:
        left = iter(range(count))

        async def caller() -> None:
            for _ in left:
                started = time.perf_counter()
                await one()
                walls.append((time.perf_counter() - started) * 1e3)

        await asyncio.gather(*(caller() for _ in range(spec["at_once"])))

    await some(spec["at_once"], [])
    walls: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    await some(spec["count"], walls)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall_ms": walls, "per_second": spec["count"] / wall, "cpu_ms": cpu * 1e3 / spec["count"]}


def _memory(name: str) -> int:
    """A line of the process's own status, in bytes; where there is none, the most that the system knows of."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123 - pathlib would add to what is measured
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Do what the arguments say."""
    started, spec = float(sys.argv[1]), json.loads(sys.argv[2])
    sys.path[:0] = spec["path"]
    # What handlers log would get between the figures.
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    figures = globals()[spec["mode"]](spec, started)
    with os.fdopen(out, "w") as file:
        json.dump(figures, file)
    os._exit(0)


main()
