"""The money: what jobs were charged, by their records, the limits and the usage, against what engines were paid for."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from image_gateway.models.jobs import Job
from image_gateway.models.money import format_usd, from_micros, to_micros
from tests.chaos.outcome import Findings, describe, marker_of

_RESTORED = "completed from the stored images"
"""In the warning of a job of which only the images are known: it is charged what was held."""


def charges(found: Findings) -> str:
    """Return what was charged, and how much of it is uncertain, in one line."""
    uncertain = sum(map(_uncertain, found.jobs))
    return f"{_usd(sum(map(_charged, found.jobs)))} dollars charged, {_usd(uncertain)} of them uncertain"


def wrong_charges(found: Findings) -> Iterator[str]:
    """Yield everything that is wrong about money, each as one line."""
    yield from found.overspent
    yield from _jobs_and_images(found)
    yield from _limits(found)
    yield from _usage(found)


def _jobs_and_images(found: Findings) -> Iterator[str]:
    """Compare jobs with the engines' own record: nothing is charged too little, and too much only if that is named."""
    jobs = defaultdict(list)
    for job in found.jobs:
        jobs[marker_of(job)].append(job)
        if job.ended and not job.settled:
            yield f"{describe(job)} is not settled"
    paid: Counter[str] = Counter()
    for image in found.paid:
        paid[image.marker] += found.prices.get(image.engine, 0)
    for marker, for_request in jobs.items():
        charged = sum(map(_charged, for_request))
        named = any(_uncertain(job) or _is_restored(job) for job in for_request)
        if charged < paid[marker] or (charged > paid[marker] and not named):
            text = "; ".join(map(describe, for_request))
            yield f"{marker} was charged {_usd(charged)} for images of {_usd(paid[marker])}: {text}"


def _limits(found: Findings) -> Iterator[str]:
    """Compare each item of limits with the jobs that were accepted with it."""
    for scope, item in found.limits.items():
        jobs = [job for job in found.jobs if job.periods.get(scope, "").endswith(f"#{item.series}")]
        charged = sum(map(_charged, jobs))
        if item.spent_total != charged:
            yield f"{scope} has spent {_usd(item.spent_total)}, and its jobs were charged {_usd(charged)}"
        if item.open:
            yield f"{scope} has {item.open} open jobs"
        if item.spent_total > found.highest.get(scope, item.spent_total):
            yield f"{scope} has spent {_usd(item.spent_total)} of at most {_usd(found.highest[scope])}"


def _usage(found: Findings) -> Iterator[str]:
    """Compare the usage with all jobs."""
    if found.usage is None:
        return
    expected = {
        "requests": len(found.jobs),
        "images": sum(len(job.images) for job in found.jobs),
        "micros": sum(map(_charged, found.jobs)) - sum(map(_uncertain, found.jobs)),
        "uncertain_micros": sum(map(_uncertain, found.jobs)),
    }
    for name, number in expected.items():
        if (counted := getattr(found.usage, name)) != number:
            yield f"the usage counts {counted} {name}, and the jobs have {number}"


def _charged(job: Job) -> int:
    """Return what a job cost and may have cost, in millionths of a dollar."""
    return (to_micros(job.cost.usd) if job.cost else 0) + _uncertain(job)


def _uncertain(job: Job) -> int:
    return to_micros(job.uncertain_usd) if job.uncertain_usd else 0


def _is_restored(job: Job) -> bool:
    return _has_text(job.warnings, _RESTORED)


def _has_text(texts: Iterable[str], part: str) -> bool:
    return any(part in text for text in texts)


def _usd(micros: int) -> str:
    return format_usd(from_micros(micros))
