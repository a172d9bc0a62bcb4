"""What is known at the end of a run."""

from dataclasses import dataclass, field
from typing import Any

from image_gateway.metering.limit_item import LimitItem
from image_gateway.metering.usage import UsageCounts
from image_gateway.models.jobs import Job
from tests.chaos.meter import PaidImage
from tests.chaos.requests import Sent


@dataclass
class Findings:
    """Everything that is known at the end of a run.

    Attributes:
        paid: the images that engines made.
        sent: the requests.
        jobs: all jobs.
        stored: the digest of each image in the bucket, by its key.
        events: the details of the events about ended jobs.
        interrupted: ids of the jobs whose process died before their end was recorded.
        canceled: ids of the jobs whose cancellation was confirmed.
        files: the request files, by key, each with the markers of its lines.
        results: the results documents.
        kept: the texts of the dead letters in the bucket.
        held: the locks and slots that are held.
        queued: the messages that are left in the queues.
        failures: errors of functions that were not killed.
        prices: what an image of each engine costs, in millionths of a dollar.
        limits: the items of all limits, by their scopes.
        highest: the highest budget that some scopes had in the run, in millionths of a dollar.
        overspent: what was more than that at some time.
        usage: all usage; None if it was not counted.
    """

    paid: list[PaidImage]
    sent: list[Sent]
    jobs: list[Job]
    stored: dict[str, str]
    events: list[dict[str, Any]]
    interrupted: set[str] = field(default_factory=set)
    canceled: set[str] = field(default_factory=set)
    files: dict[str, list[str]] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    prices: dict[str, int] = field(default_factory=dict)
    limits: dict[str, LimitItem] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    overspent: list[str] = field(default_factory=list)
    usage: UsageCounts | None = None


def marker_of(job: Job) -> str:
    """Return the marker of the request that a job is for."""
    return str(job.request.get("prompt", "")).partition(" ")[0]


def describe(job: Job) -> str:
    """Return a job in one line."""
    end = f"{job.status} as {job.error.code}" if job.error else job.status
    cost = ", may have cost" if job.error and job.error.may_have_cost else ""
    return f"job {job.id} ({marker_of(job)}, {job.channel}, {job.engine}, {job.attempts} attempts) {end}{cost}"
