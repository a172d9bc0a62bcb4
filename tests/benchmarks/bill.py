"""The bill: what an image costs for the time that functions run, from what was measured.

Lambda gives a function processor time by its memory, so measured processor time is stretched where that is less than a
whole processor. Waiting for the engine is not.
"""

from statistics import median
from typing import Any

from tests.benchmarks import events, prices
from tests.benchmarks.stage import GENERATIONS, TOKENS, Stage

ENGINE_SECONDS = (1, 5, 30, 120)
WAITING = (1, 10, 100)
BATCH = 10
_MEASURED_ENGINE_MS = 1_000.0
_WRITE_UNITS = 6  # of one write of a job: 2 KB, and the same for each of two indexes
_LONGEST_INLINE = 24


def measure(stage: Stage, count: int) -> dict[str, dict[str, float]]:
    """Milliseconds that functions need beside the engine's, and how many of them are the processor's.

    `inline`: a generation that waits for its engine. `submit`: one that is queued. `worker 1` and `worker 10`: an
    invocation of the worker with as many jobs, whose engine takes a second.
    """
    form = {"prompt": "a lighthouse in a storm"}
    spec = {"status": 200, "contains": '"url"', "warm_up": 3, "count": count}
    generate = stage.gateway("GenerateFunction")
    inline = events.http("POST", GENERATIONS, TOKENS["user"], form)
    found = {"inline": stage.measure("warm", generate, "GenerateFunction", event=inline, **spec)}
    submitting = events.http("POST", GENERATIONS, TOKENS["user"], form, prefer="respond-async")
    spec |= {"status": 202, "contains": '"id"'}
    found["submit"] = stage.measure("warm", generate, "GenerateFunction", event=submitting, **spec)
    for size in (1, BATCH):
        envelope = {"kind": "generation", "request": {**form, "model": "1mb-1s"}}
        batches = [events.messages(*[envelope] * size) for _ in range(4)]
        worker = stage.measure("batches", stage.gateway("WorkerFunction"), "WorkerFunction", events=batches)
        # The first one is cold.
        found[f"worker {size}"] = {
            "wall_ms": [ms - _MEASURED_ENGINE_MS for ms in worker["wall_ms"][1:]],
            "cpu_ms": worker["cpu_ms"][1:],
        }
    return {name: {unit: median(values) for unit, values in figures.items()} for name, figures in found.items()}


def run(stage: Stage, count: int) -> dict[str, Any]:
    """What was measured, and for each engine and number of waiting jobs what an image costs."""
    measured = measure(stage, count)
    memory = {name: function.memory for name, function in stage.functions.items()}
    concurrency = stage.worker_concurrency
    rows = []
    for seconds in ENGINE_SECONDS:
        if seconds <= _LONGEST_INLINE:
            ms = seconds * 1e3 + _stretched(measured["inline"], memory["GenerateFunction"])
            rows.append(_row("inline", seconds, 1, ms, memory["GenerateFunction"], 0.0, _requests(queued=False)))
        for waiting in WAITING:
            together = min(waiting, BATCH)
            worker = seconds * 1e3 + _stretched(measured[f"worker {together}"], memory["WorkerFunction"])
            submit = _stretched(measured["submit"], memory["GenerateFunction"])
            submitted = _lambda(submit, memory["GenerateFunction"])
            row = _row(
                "queued",
                seconds,
                waiting,
                worker / together,
                memory["WorkerFunction"],
                submitted,
                _requests(queued=True),
            )
            rounds = -(-waiting // (BATCH * concurrency))
            rows.append({**row, "all_done_seconds": rounds * worker / 1e3})
    return {"measured": measured, "memory": memory, "images": prices.IMAGES, "rows": rows}


def _row(
    way: str, seconds: int, waiting: int, ms: float, megabytes: int, before: float, requests: float
) -> dict[str, Any]:
    dollars = _lambda(ms, megabytes) + before
    return {
        "way": way,
        "engine_seconds": seconds,
        "waiting": waiting,
        "billed_ms": ms,
        "gigabyte_seconds": ms * megabytes / 1024 / 1e3,
        "lambda_dollars": dollars,
        "dollars": dollars + requests,
    }


def _stretched(figures: dict[str, float], megabytes: int) -> float:
    return figures["wall_ms"] + figures["cpu_ms"] * max(0.0, prices.CPU_MEGABYTES / megabytes - 1)


def _lambda(ms: float, megabytes: int) -> float:
    return ms / 1e3 * megabytes / 1024 * prices.LAMBDA_GB_SECOND


def _requests(*, queued: bool) -> float:
    """Requests to services of one image: API, function, two or three writes of its job, its object, its event."""
    writes = 3 if queued else 2
    shared = prices.HTTP_API_REQUEST + prices.LAMBDA_REQUEST + prices.S3_PUT + prices.EVENT
    shared += writes * _WRITE_UNITS * prices.DYNAMODB_WRITE_UNIT
    return shared + (3 * prices.SQS_REQUEST + prices.LAMBDA_REQUEST + 2 * prices.DYNAMODB_READ_UNIT if queued else 0.0)
