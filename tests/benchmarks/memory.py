"""Memory: the peak of a process for several numbers and sizes of images, and whether memory grows over time."""

from tests.benchmarks import events
from tests.benchmarks.cold_start import GATEWAY, USUAL
from tests.benchmarks.environment import GENERATIONS, TOKENS, BenchmarkEnvironment

BYTES_PER_MEGABYTE = 2**20
BASE64_RATIO = 4 / 3


def peaks(
    environment: BenchmarkEnvironment, counts: tuple[int, ...], megabytes: tuple[int, ...]
) -> list[dict[str, float | str]]:
    """Measure the peak memory of a process that makes images in one request, all in MB.

    Args:
        environment: where to measure.
        counts: numbers of images in the request.
        megabytes: sizes of an image.

    Returns:
        A row for each handler, size and number; `response` is the size of the engine's response.
    """
    rows: list[dict[str, float | str]] = []
    for name, subject in (
        (GATEWAY, environment.gateway("GenerateFunction")),
        (USUAL, environment.usual()),
    ):
        for size in megabytes:
            for n in counts:
                form = {"prompt": "a lighthouse in a storm", "n": n, "model": f"{size}mb-0s"}
                event = events.http("POST", GENERATIONS, TOKENS["user"], form)
                figures = environment.measure(
                    "memory", subject, "GenerateFunction", event=event, status=200, contains='"url"'
                )
                row = {figure: memory / BYTES_PER_MEGABYTE for figure, memory in figures.items()}
                rows.append({"handler": name, "n": n, "megabytes": size, "response": n * size * BASE64_RATIO, **row})
    return rows


def growth(environment: BenchmarkEnvironment, count: int) -> list[float]:
    """Return the gateway's memory in MB after a tenth of `count` generations, after half of them and after all."""
    event = events.http("POST", GENERATIONS, TOKENS["user"], {"prompt": "a lighthouse in a storm"})
    spec = {"event": event, "status": 200, "contains": '"url"', "count": count}
    figures = environment.measure("growth", environment.gateway("GenerateFunction"), "GenerateFunction", **spec)
    return [memory / BYTES_PER_MEGABYTE for memory in figures["memory"]]
