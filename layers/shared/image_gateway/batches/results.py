"""The results document of a request file: the outcome of each line."""

from collections.abc import Mapping, Sequence
from typing import Any

from image_gateway.errors import GatewayError, NotFound, NotQueued
from image_gateway.models.jobs import Job
from image_gateway.models.money import format_usd

_STATUSES = ("succeeded", "failed", "canceled", "invalid")


def results_document(file: str, batch_id: str, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Build the results document of a batch.

    Args:
        file: key of the request file.
        batch_id: the batch's id.
        lines: the outcomes that `line_results` returned.
    """
    counts = {status: sum(line["status"] == status for line in lines) for status in _STATUSES}
    return {"file": file, "batch": batch_id, "total": len(lines), **counts, "lines": lines}


def line_results(
    lines: Sequence[dict[str, Any]], jobs: Mapping[str, Job], queued: int, given_up: str | None
) -> list[dict[str, Any]]:
    """Return the outcome of each line of a batch.

    Args:
        lines: the batch's line records, each with either its `job` id or its `error`.
        jobs: the jobs that are in the table, by id.
        queued: how many jobs were queued, in line order.
        given_up: why the remaining lines were not queued; None if the batch was not given up.
    """
    results = []
    position = 0
    for line in lines:
        if "job" not in line:
            results.append({**line, "status": "invalid"})
            continue
        position += 1
        job = jobs.get(line["job"])
        if job is not None:
            results.append(_job_result(line, job))
        elif given_up is not None and position > queued:
            without_job = {name: value for name, value in line.items() if name != "job"}
            results.append(_failure(without_job, not_queued_error(given_up)))
        else:
            results.append(_failure(line, NotFound("The job has expired")))
    return results


def not_queued_error(reason: str) -> NotQueued:
    """Return the error of a line that was never queued; `reason` has no full stop."""
    return NotQueued(f"The line was not queued and cost nothing: {reason}. Send it again in another file")


def _job_result(line: dict[str, Any], job: Job) -> dict[str, Any]:
    error = {"error": {"code": job.error.code, "detail": job.error.detail}} if job.error else {}
    # Images of a canceled job are not shown.
    keys = [image.key for image in job.images] if job.status == "succeeded" else []
    return {**line, "status": job.status, "keys": keys, **_costs(job), **error}


def _costs(job: Job) -> dict[str, Any]:
    cost = {"cost": job.cost.model_dump(mode="json")} if job.cost else {}
    return {**cost, **({"uncertain_usd": format_usd(job.uncertain_usd)} if job.uncertain_usd else {})}


def _failure(line: dict[str, Any], error: GatewayError) -> dict[str, Any]:
    return {**line, "status": "failed", "keys": [], "error": {"code": error.code, "detail": error.detail}}
