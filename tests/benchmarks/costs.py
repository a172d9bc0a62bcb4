"""Costs of an image for the time that functions run, calculated from measurements.

Lambda gives a function CPU time in proportion to its memory. So measured CPU time is extended for a function that has
less than one CPU. Time that a function waits for the engine is not.
"""

from statistics import median
from typing import Any

from tests.benchmarks import events, prices
from tests.benchmarks.environment import GENERATIONS, TOKENS, BenchmarkEnvironment

ENGINE_SECONDS = (1, 5, 30, 120)
WAITING_JOBS = (1, 10, 100)
BATCH_SIZE = 10
_MEASURED_ENGINE_MS = 1_000.0
_WRITE_UNITS = 5  # three writes of a job, each of less than 1 KB, and its key in two indexes
_MAX_INLINE_SECONDS = 24


def measure(environment: BenchmarkEnvironment, count: int) -> dict[str, dict[str, float]]:
    """Measure how many milliseconds functions take in addition to the engine's time.

    Returns:
        Medians of `wall_ms` and `cpu_ms`: `inline` is a generation that waits for its engine, `submit` one that is
        queued, `worker 1` and `worker 10` an invocation of the worker with so many jobs, whose engine takes a second.
    """
    form = {"prompt": "a lighthouse in a storm"}
    spec = {"status": 200, "contains": '"url"', "warm_up": 3, "count": count}
    generate = environment.gateway("GenerateFunction")
    inline = events.http("POST", GENERATIONS, TOKENS["user"], form)
    figures = {"inline": environment.measure("warm", generate, "GenerateFunction", event=inline, **spec)}
    submission = events.http("POST", GENERATIONS, TOKENS["user"], form, prefer="respond-async")
    spec |= {"status": 202, "contains": '"id"'}
    figures["submit"] = environment.measure("warm", generate, "GenerateFunction", event=submission, **spec)
    for size in (1, BATCH_SIZE):
        envelope = {"kind": "generation", "request": {**form, "model": "1mb-1s"}}
        batches = [events.messages(*[envelope] * size) for _ in range(4)]
        function = "WorkerFunction"
        worker = environment.measure("batches", environment.gateway(function), function, events=batches)
        # The first invocation is a cold start.
        figures[f"worker {size}"] = {
            "wall_ms": [ms - _MEASURED_ENGINE_MS for ms in worker["wall_ms"][1:]],
            "cpu_ms": worker["cpu_ms"][1:],
        }
    return {name: {unit: median(values) for unit, values in units.items()} for name, units in figures.items()}


def run(environment: BenchmarkEnvironment, count: int) -> dict[str, Any]:
    """Return the measurements, and the costs of an image for each time of an engine and number of waiting jobs."""
    measured = measure(environment, count)
    memory = {name: function.memory for name, function in environment.functions.items()}
    concurrency = environment.worker_concurrency
    rows = []
    for seconds in ENGINE_SECONDS:
        if seconds <= _MAX_INLINE_SECONDS:
            ms = seconds * 1e3 + _billed_ms(measured["inline"], memory["GenerateFunction"])
            rows.append(_row("inline", seconds, 1, ms, memory["GenerateFunction"], 0.0, _request_dollars(queued=False)))
        for waiting in WAITING_JOBS:
            batch_size = min(waiting, BATCH_SIZE)
            worker_ms = seconds * 1e3 + _billed_ms(measured[f"worker {batch_size}"], memory["WorkerFunction"])
            submit_ms = _billed_ms(measured["submit"], memory["GenerateFunction"])
            row = _row(
                "queued",
                seconds,
                waiting,
                worker_ms / batch_size,
                memory["WorkerFunction"],
                _lambda_dollars(submit_ms, memory["GenerateFunction"]),
                _request_dollars(queued=True),
            )
            rounds = -(-waiting // (BATCH_SIZE * concurrency))
            rows.append({**row, "all_done_seconds": rounds * worker_ms / 1e3})
    return {"measured": measured, "memory": memory, "images": prices.IMAGES, "rows": rows}


def _row(
    mode: str,
    engine_seconds: int,
    waiting: int,
    ms: float,
    megabytes: int,
    submission_dollars: float,
    request_dollars: float,
) -> dict[str, Any]:
    dollars = _lambda_dollars(ms, megabytes) + submission_dollars
    return {
        "mode": mode,
        "engine_seconds": engine_seconds,
        "waiting": waiting,
        "billed_ms": ms,
        "gigabyte_seconds": ms * megabytes / 1024 / 1e3,
        "lambda_dollars": dollars,
        "dollars": dollars + request_dollars,
    }


def _billed_ms(figures: dict[str, float], megabytes: int) -> float:
    """Return the time on Lambda, where a function with less than one CPU needs more time for the same CPU work."""
    return figures["wall_ms"] + figures["cpu_ms"] * max(0.0, prices.MEGABYTES_PER_CPU / megabytes - 1)


def _lambda_dollars(ms: float, megabytes: int) -> float:
    return ms / 1e3 * megabytes / 1024 * prices.LAMBDA_GB_SECOND


def _request_dollars(*, queued: bool) -> float:
    """Return the price of one image's requests: API, function, the job's record, object, event."""
    dollars = prices.HTTP_API_REQUEST + prices.LAMBDA_REQUEST + prices.S3_PUT + prices.EVENT
    dollars += _WRITE_UNITS * prices.DYNAMODB_WRITE_UNIT
    if queued:
        dollars += 3 * prices.SQS_REQUEST + prices.LAMBDA_REQUEST + 2 * prices.DYNAMODB_READ_UNIT
    return dollars
