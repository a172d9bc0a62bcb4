"""Warm requests: what one generation with an image of 1 MB takes, one after the other and several at once.

One after the other, the handler gets events as on Lambda. At once, the ASGI application within the handler gets them on
one event loop: an environment of Lambda handles one event at a time, but a worker does ten jobs at once, and sixteen on
one interpreter show what an image costs when there is always something to do.
"""

from statistics import median, quantiles
from typing import Any

from tests.benchmarks import events
from tests.benchmarks.cold_start import GATEWAY, USUAL
from tests.benchmarks.stage import GENERATIONS, TOKENS, Stage

DIRECT = "engine itself"
AT_ONCE = 16


def run(stage: Stage, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """By handler: p50 and p99 of milliseconds and median CPU milliseconds of a request, alone and with 15 others."""
    seen: dict[str, dict[str, list[Any]]] = {}
    for _ in range(rounds):
        for name, figures in _round(stage, count):
            for figure, values in figures.items():
                found = seen.setdefault(name, {}).setdefault(figure, [])
                found.extend(values) if isinstance(values, list) else found.append(values)
    return {name: _summary(figures) for name, figures in seen.items()}


def _round(stage: Stage, count: int) -> list[tuple[str, dict[str, Any]]]:
    body = {"prompt": "a lighthouse in a storm"}
    event = events.http("POST", GENERATIONS, TOKENS["user"], body)
    spec = {"event": event, "status": 200, "contains": '"url"', "count": count, "warm_up": 10, "at_once": AT_ONCE}
    call = {"url": f"{stage.engine}/v1/images/generations", "json": {**body, "model": "1mb-0s", "n": 1}}
    subjects = {
        GATEWAY: (stage.gateway("GenerateFunction"), ("warm", "at_once")),
        USUAL: (stage.usual(), ("warm", "at_once")),
        DIRECT: (stage.usual(), ("direct", "direct_at_once")),
    }
    found = []
    for name, (subject, (alone, crowd)) in subjects.items():
        one = stage.measure(alone, subject, "GenerateFunction", **spec, **call)
        many = stage.measure(crowd, subject, "GenerateFunction", **spec, **call)
        found.append((name, {**one, **{f"crowd_{figure}": value for figure, value in many.items()}}))
    return found


def _summary(figures: dict[str, list[float]]) -> dict[str, float]:
    return {
        "p50_ms": median(figures["wall_ms"]),
        "p99_ms": quantiles(figures["wall_ms"], n=100)[-1],
        "cpu_ms": median(figures["cpu_ms"]),
        "crowd_p50_ms": median(figures["crowd_wall_ms"]),
        "crowd_p99_ms": quantiles(figures["crowd_wall_ms"], n=100)[-1],
        "crowd_cpu_ms": median(figures["crowd_cpu_ms"]),
        "per_second": median(figures["crowd_per_second"]),
    }
