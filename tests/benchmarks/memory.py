"""Memory: the most that a process ever holds for images of several numbers and weights, and whether it grows."""

from tests.benchmarks import events
from tests.benchmarks.cold_start import GATEWAY, USUAL
from tests.benchmarks.stage import GENERATIONS, TOKENS, Stage

MEGABYTE = 2**20
OF_BASE64 = 4 / 3


def peaks(stage: Stage, counts: tuple[int, ...], megabytes: tuple[int, ...]) -> list[dict[str, float | str]]:
    """For each number and weight of images in MB: the peak of a process that makes them in one request, in MB."""
    rows: list[dict[str, float | str]] = []
    for name, subject in ((GATEWAY, stage.gateway("GenerateFunction")), (USUAL, stage.usual())):
        for size in megabytes:
            for n in counts:
                form = {"prompt": "a lighthouse in a storm", "n": n, "model": f"{size}mb-0s"}
                event = events.http("POST", GENERATIONS, TOKENS["user"], form)
                found = stage.measure("memory", subject, "GenerateFunction", event=event, status=200, contains='"url"')
                row = {figure: held / MEGABYTE for figure, held in found.items()}
                rows.append({"handler": name, "n": n, "megabytes": size, "answer": n * size * OF_BASE64, **row})
    return rows


def growth(stage: Stage, count: int) -> list[float]:
    """Memory that the gateway holds after a tenth of `count` generations, after half of them and after all, in MB."""
    event = events.http("POST", GENERATIONS, TOKENS["user"], {"prompt": "a lighthouse in a storm"})
    spec = {"event": event, "status": 200, "contains": '"url"', "count": count}
    found = stage.measure("growth", stage.gateway("GenerateFunction"), "GenerateFunction", **spec)
    return [held / MEGABYTE for held in found["held"]]
