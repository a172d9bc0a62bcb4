"""Warm requests: generations with an image of 1 MB, one after another and concurrently.

One after another, the handler gets events as on Lambda. Concurrently, the ASGI application in the handler's module gets
requests on one event loop. An environment of Lambda handles one event at a time, but a worker runs ten jobs at a time,
and sixteen concurrent requests to one interpreter show what an image costs when the CPU is never idle.
"""

from statistics import median, quantiles
from typing import Any

from tests.benchmarks import events
from tests.benchmarks.cold_start import GATEWAY, USUAL
from tests.benchmarks.environment import GENERATIONS, TOKENS, BenchmarkEnvironment

DIRECT = "engine itself"
CONCURRENCY = 16


def run(environment: BenchmarkEnvironment, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Measure warm requests.

    Returns:
        By handler: p50, p99 and median CPU time of a request in milliseconds, alone and with 15 others (`concurrent_`),
        and requests per second with 15 others.
    """
    values_by_handler: dict[str, dict[str, list[Any]]] = {}
    for _ in range(rounds):
        for name, figures in _round(environment, count):
            for figure, values in figures.items():
                collected = values_by_handler.setdefault(name, {}).setdefault(figure, [])
                collected.extend(values) if isinstance(values, list) else collected.append(values)
    return {name: _summary(figures) for name, figures in values_by_handler.items()}


def _round(environment: BenchmarkEnvironment, count: int) -> list[tuple[str, dict[str, Any]]]:
    body = {"prompt": "a lighthouse in a storm"}
    event = events.http("POST", GENERATIONS, TOKENS["user"], body)
    spec = {
        "event": event,
        "status": 200,
        "contains": '"url"',
        "count": count,
        "warm_up": 10,
        "concurrency": CONCURRENCY,
    }
    engine_request = {
        "url": f"{environment.engine}/v1/images/generations",
        "json": {**body, "model": "1mb-0s", "n": 1},
    }
    subjects = {
        GATEWAY: (environment.gateway("GenerateFunction"), ("warm", "concurrent")),
        USUAL: (environment.usual(), ("warm", "concurrent")),
        DIRECT: (environment.usual(), ("direct", "direct_concurrent")),
    }
    results = []
    for name, (subject, (sequential_mode, concurrent_mode)) in subjects.items():
        sequential = environment.measure(sequential_mode, subject, "GenerateFunction", **spec, **engine_request)
        concurrent = environment.measure(concurrent_mode, subject, "GenerateFunction", **spec, **engine_request)
        results.append(
            (name, {**sequential, **{f"concurrent_{figure}": value for figure, value in concurrent.items()}})
        )
    return results


def _summary(figures: dict[str, list[float]]) -> dict[str, float]:
    return {
        "p50_ms": median(figures["wall_ms"]),
        "p99_ms": quantiles(figures["wall_ms"], n=100)[-1],
        "cpu_ms": median(figures["cpu_ms"]),
        "concurrent_p50_ms": median(figures["concurrent_wall_ms"]),
        "concurrent_p99_ms": quantiles(figures["concurrent_wall_ms"], n=100)[-1],
        "concurrent_cpu_ms": median(figures["concurrent_cpu_ms"]),
        "per_second": median(figures["concurrent_per_second"]),
    }
