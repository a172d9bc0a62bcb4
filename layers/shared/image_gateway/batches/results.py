"""The results of a request file: what became of each of its lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from image_gateway.errors import GatewayError, NotFound, NotQueued
from image_gateway.models.jobs import Job

_STATUSES = ("succeeded", "failed", "canceled", "invalid")


def results_of(file: str, batch_id: str, reported: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The results of a batch whose lines are told so."""
    counts = {status: sum(line["status"] == status for line in reported) for status in _STATUSES}
    return {"file": file, "batch": batch_id, "total": len(reported), **counts, "lines": reported}


def tell(
    lines: Sequence[dict[str, Any]], jobs: Mapping[str, Job], queued: int, given_up: str | None
) -> list[dict[str, Any]]:
    """What the results say of the lines of a batch.

    Args:
        lines: what the batch knows of them: either the `job` that a line becomes or the `error` that it has.
        jobs: those that are in the table.
        queued: how many were queued.
        given_up: why the others were not, where that is so.
    """
    reported = []
    place = 0
    for line in lines:
        if "job" not in line:
            reported.append({**line, "status": "invalid"})
            continue
        place += 1
        job = jobs.get(line["job"])
        if job is not None:
            reported.append(_ended(line, job))
        elif given_up is not None and place > queued:
            known = {name: value for name, value in line.items() if name != "job"}
            reported.append(_failed(known, not_queued(given_up)))
        else:
            reported.append(_failed(line, NotFound("The job is no longer remembered")))
    return reported


def not_queued(reason: str) -> NotQueued:
    """The error of a line that never came into the queue."""
    return NotQueued(f"The line was not queued, and cost nothing: {reason}. Send it again, in another file")


def _ended(line: dict[str, Any], job: Job) -> dict[str, Any]:
    error = {"error": {"code": job.error.code, "detail": job.error.detail}} if job.error else {}
    # A canceled job's images are not shown.
    keys = [image.key for image in job.images] if job.status == "succeeded" else []
    return {**line, "status": job.status, "keys": keys, **error}


def _failed(line: dict[str, Any], error: GatewayError) -> dict[str, Any]:
    return {**line, "status": "failed", "keys": [], "error": {"code": error.code, "detail": error.detail}}
