"""Retries of clients that do not mark them: identical requests soon after an error whose retry would be paid again.

Vercel's AI SDK repeats any 5xx twice, whatever the response says. Whether such a request is a retry or a person's wish
for another image can only be told from what the earlier request was answered.
"""

from datetime import datetime, timedelta

from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job, utc_now

_RETRY_SOON = timedelta(seconds=30)
"""Clients that repeat a request by themselves do so within seconds."""
_WAITED = timedelta(seconds=240)
"""After about this time, ten waits of 25 s, the caller of a job that has not ended gets a 504."""


def is_retry_of(job: Job, now: datetime) -> bool:
    """Return whether an identical request at `now` is a retry of the request of `job`.

    It is if the job failed just now and may have cost; or if its caller got a 504, and it is still at work or has ended
    just now.
    """
    end = job.finished_at if job.ended else None
    if job.ended and (end is None or now - end > _RETRY_SOON):
        return False
    if job.status == "failed":
        return job.to_error().may_have_cost
    return (end or now) - job.created_at >= _WAITED


async def find_unmarked_retry(jobs: JobStore, claim: Claim | None) -> Job | None:
    """Return the job of which a request without a key is a retry; None if it is a new request.

    Args:
        jobs: where jobs are stored.
        claim: the claim of the request, from `unmarked_claim`; None for a request that is never a retry.

    Raises:
        StorageUnavailable: the table does not respond.
    """
    earlier_id = await jobs.claiming_job_id(claim) if claim else None
    earlier = await jobs.get(earlier_id) if earlier_id else None
    return earlier if earlier and is_retry_of(earlier, utc_now()) else None


def may_be_retried(job: Job) -> bool:
    """Return whether a client may retry the request of a job as it is answered now, and would pay again."""
    return not job.ended or (job.status == "failed" and job.to_error().may_have_cost)
