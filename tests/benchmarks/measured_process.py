"""The program of a measured process: runs a handler under Lambda's Python and writes figures as JSON.

`python -I -S -B measured_process.py STARTED SPEC`. STARTED is the time at which the process was started, in seconds of
the monotonic clock. SPEC is JSON that says what to measure; its `path` is put before `sys.path`, as Lambda does with
the folders of function, layers and runtime. The process exits without the interpreter's cleanup, as on Lambda.
"""

import json
import os
import sys
import time
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:  # a handler that does not need `typing` must not be charged for its import
    from collections.abc import Awaitable, Callable
    from typing import Any

    from mangum.types import LambdaConfig

    Spec = dict[str, Any]
    Figures = dict[str, Any]


class Context:
    """Lambda's context of an invocation."""

    function_name = "benchmark"
    aws_request_id = "00000000-0000-4000-8000-000000000000"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:benchmark"

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until the timeout in milliseconds."""
        return 900_000


def cold(spec: "Spec", started: float) -> "Figures":
    """Measure a cold start: milliseconds from the process's start until it is ready and has responded, and CPU time."""
    handler = _handler(spec)
    ready = time.monotonic()
    _check(handler(_event(spec), Context()), spec)
    responded = time.monotonic()
    return {
        "ready_ms": (ready - started) * 1e3,
        "wall_ms": (responded - started) * 1e3,
        "cpu_ms": time.process_time() * 1e3,
        "modules": len(sys.modules),
    }


def response(spec: "Spec", _started: float) -> "Figures":
    """Return the handler's response to the event."""
    return dict(_handler(spec)(spec["event"], Context()))


def warm(spec: "Spec", _started: float) -> "Figures":
    """Measure requests one after another: milliseconds and CPU milliseconds of each."""
    handler = _handler(spec)
    return _sequential(lambda: _check(handler(_event(spec), Context()), spec), spec)


def direct(spec: "Spec", _started: float) -> "Figures":
    """Measure a client that calls the engine itself and parses the response's JSON, one request after another."""
    import httpx

    client = httpx.Client(timeout=60)
    return _sequential(lambda: client.post(spec["url"], json=spec["json"]).raise_for_status().json()["data"][0], spec)


def concurrent(spec: "Spec", _started: float) -> "Figures":
    """Measure concurrent requests to the ASGI application of the handler's module, on one event loop."""
    import asyncio

    from mangum.handlers import HTTPGateway

    module, _, _name = spec["handler"].rpartition(".")
    app = import_module(module).app

    context: Any = Context()
    config: LambdaConfig = {"api_gateway_base_path": "/", "text_mime_types": [], "exclude_headers": []}

    async def send_request() -> None:
        request = HTTPGateway(_event(spec), context, config)
        messages: list[Any] = []

        async def receive() -> "Any":
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: "Any") -> None:
            messages.append(message)

        await app(request.scope, receive, send)
        body = b"".join(message.get("body", b"") for message in messages)
        _check({"statusCode": messages[0]["status"], "body": body.decode()}, spec)

    return asyncio.run(_concurrent(send_request, spec))


def direct_concurrent(spec: "Spec", _started: float) -> "Figures":
    """Measure a client that calls the engine itself, with concurrent requests."""
    import asyncio

    import httpx

    async def run() -> "Figures":
        async with httpx.AsyncClient(timeout=60) as client:

            async def send_request() -> None:
                engine_response = await client.post(spec["url"], json=spec["json"])
                engine_response.raise_for_status().json()

            return await _concurrent(send_request, spec)

    return asyncio.run(run())


def memory(spec: "Spec", _started: float) -> "Figures":
    """Measure the process's peak memory in bytes, before and after one request."""
    handler = _handler(spec)
    before = _memory("VmHWM")
    _check(handler(_event(spec), Context()), spec)
    return {"ready": before, "peak": _memory("VmHWM")}


def growth(spec: "Spec", _started: float) -> "Figures":
    """Measure the process's memory in bytes after a tenth of `count` requests, after half of them, and after all."""
    handler = _handler(spec)
    memory_bytes = []
    for number in range(1, spec["count"] + 1):
        _check(handler(_event(spec), Context()), spec)
        if number in (spec["count"] // 10, spec["count"] // 2, spec["count"]):
            memory_bytes.append(_memory("VmRSS"))
    return {"memory": memory_bytes}


def batches(spec: "Spec", _started: float) -> "Figures":
    """Measure invocations with a batch of messages each: milliseconds and CPU milliseconds of each."""
    handler = _handler(spec)
    figures: dict[str, list[float]] = {"wall_ms": [], "cpu_ms": []}
    for event in spec["events"]:
        wall, cpu = time.perf_counter(), time.process_time()
        failed = handler(event, Context())["batchItemFailures"]
        figures["wall_ms"].append((time.perf_counter() - wall) * 1e3)
        figures["cpu_ms"].append((time.process_time() - cpu) * 1e3)
        if failed:
            raise SystemExit(f"messages failed: {failed}")
    return figures


def _handler(spec: "Spec") -> "Callable[[Any, Any], Any]":
    module, _, name = spec["handler"].rpartition(".")
    handler: Callable[[Any, Any], Any] = getattr(import_module(module), name)
    return handler


def _event(spec: "Spec") -> "Any":
    """Return the event with the current time: a gateway may use the time since a request's arrival."""
    event = spec["event"]
    event["requestContext"]["timeEpoch"] = int(time.time() * 1000)
    return event


def _check(output: "Any", spec: "Spec") -> None:
    """Exit if the response is not the expected one, so that the time of an error is never reported as a figure."""
    if output["statusCode"] != spec["status"] or spec["contains"] not in output["body"]:
        raise SystemExit(f"response {output['statusCode']}: {output['body'][:500]}")


def _sequential(send_request: "Callable[[], object]", spec: "Spec") -> "Figures":
    for _ in range(spec["warm_up"]):
        send_request()
    figures: dict[str, list[float]] = {"wall_ms": [], "cpu_ms": []}
    for _ in range(spec["count"]):
        wall, cpu = time.perf_counter(), time.process_time()
        send_request()
        figures["wall_ms"].append((time.perf_counter() - wall) * 1e3)
        figures["cpu_ms"].append((time.process_time() - cpu) * 1e3)
    return figures


async def _concurrent(send_request: "Callable[[], Awaitable[None]]", spec: "Spec") -> "Figures":
    """Send `count` requests, always `concurrency` of them at a time, after `concurrency` requests to warm up."""
    import asyncio

    async def send_requests(count: int, walls: list[float]) -> None:
        remaining = iter(range(count))

        async def caller() -> None:
            for _ in remaining:
                started = time.perf_counter()
                await send_request()
                walls.append((time.perf_counter() - started) * 1e3)

        await asyncio.gather(*(caller() for _ in range(spec["concurrency"])))

    await send_requests(spec["concurrency"], [])
    walls: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    await send_requests(spec["count"], walls)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall_ms": walls, "per_second": spec["count"] / wall, "cpu_ms": cpu * 1e3 / spec["count"]}


def _memory(name: str) -> int:
    """Return a memory figure of `/proc/self/status` in bytes; without that file, the peak that the system reports."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123 - pathlib's import would be measured too
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Measure what the arguments say."""
    started, spec = float(sys.argv[1]), json.loads(sys.argv[2])
    sys.path[:0] = spec["path"]
    # Handlers' logs must not be mixed with the figures on stdout.
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    figures = globals()[spec["mode"]](spec, started)
    with os.fdopen(out, "w") as file:
        json.dump(figures, file)
    os._exit(0)


main()
