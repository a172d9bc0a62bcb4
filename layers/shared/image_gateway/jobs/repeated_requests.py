"""The jobs of repeated requests: a request with a claim gets the job of the earlier request with the same claim.

There is one exception. An earlier job does not count if it failed without cost, for a reason that may no longer exist,
or if it has been removed after its time to live. Then the request becomes a new job, whose claim is derived from the
earlier job's id: of several such requests, one creates the job, and the others get it.
"""

from collections.abc import Sequence
from typing import Any

from image_gateway.jobs.creation import JobCreator
from image_gateway.jobs.idempotency import Claim, should_be_retried
from image_gateway.jobs.reader import JobReader
from image_gateway.models.jobs import Job


async def find_earlier_job(jobs: JobReader, claim: Claim | None, *, own_id: str | None = None) -> Job | None:
    """Return the job of the earlier request with this claim; None if the request is not a repetition.

    Args:
        jobs: where jobs are stored.
        claim: identifies repetitions of the request, if any.
        own_id: the id of the request's own job, if that is known before the job exists. Where the job exists, it is
            the one that is returned, even if it does not count for other requests.

    Raises:
        InvalidRequest: the claim's key was used for another request.
        StorageUnavailable: the table does not respond.
    """
    if claim is None or claim.replaces:
        return None
    while earlier_id := await jobs.claiming_job_id(claim):
        if earlier_id == own_id:
            return await jobs.get(own_id)
        if earlier := await _job_that_counts(jobs, earlier_id):
            return earlier
        claim = claim.after(earlier_id)
    return None


async def create_job(
    jobs: JobCreator,
    job: Job,
    claim: Claim | None,
    *,
    lease_seconds: float | None = None,
    holder: str = "",
    scopes: Sequence[str] = (),
) -> Job | None:
    """Store a new job, or return the job of the earlier request with this claim.

    If a job with this id exists already, this write was sent twice, or the job's message was delivered twice. That
    counts as stored.

    Args:
        jobs: where the job is stored.
        job: the new job.
        claim: identifies repetitions of the request, if any.
        lease_seconds: as of `JobCreator.create`.
        holder: as of `JobCreator.create`.
        scopes: as of `JobCreator.create`.

    Raises:
        InvalidRequest: the claim's key was used for another request.
        BudgetExceeded, LimitExceeded: a limit refuses the job.
        Busy: other requests keep changing the same limits.
        StorageUnavailable: the table does not respond.
    """
    lease: dict[str, Any] = {"lease_seconds": lease_seconds, "holder": holder}
    while earlier_id := await jobs.create(job, claim=claim, scopes=scopes, **lease):
        if claim is None or earlier_id == job.id:
            return None
        if earlier := await _job_that_counts(jobs, earlier_id):
            return earlier
        claim = claim.after(earlier_id)
    return None


async def _job_that_counts(jobs: JobReader, job_id: str) -> Job | None:
    """Return a job, or None if the same request may become a new job after it."""
    job = await jobs.get(job_id)
    return None if job is None or should_be_retried(job) else job
