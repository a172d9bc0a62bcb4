"""Retries of clients that do not mark them: identical requests soon after an error whose retry would be paid again.

Vercel's AI SDK repeats any 5xx twice, whatever the response says. Whether such a request is a retry or a person's wish
for another image can only be seen from the response to the earlier request. No client repeats a 4xx by itself, and a
person may have changed the configuration since.
"""

import logging
from collections.abc import Awaitable
from datetime import datetime, timedelta

from image_gateway.aws import time_limit
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.creation import JobCreator
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.reader import JobReader
from image_gateway.models.jobs import Job, utc_now

logger = logging.getLogger(__name__)

_RETRY_SOON = timedelta(seconds=30)
"""Clients that repeat a request by themselves do so within seconds."""
_WAITED = timedelta(seconds=240)
"""After about this time, ten waits of 25 s, the caller of a job that has not ended gets a 504."""
_SERVER_ERROR = 500
"""The lowest status that clients repeat by themselves."""
_REMEMBERING_SECONDS = 2.0
"""How long a response may wait until its request is remembered for retries."""


def is_retry_of(job: Job, now: datetime) -> bool:
    """Return whether an identical request at `now` is a retry of the request of `job`.

    It is if the job failed just now and may have cost; or if its caller got a 504, and it is still at work or has ended
    just now.
    """
    end = job.finished_at if job.ended else None
    if job.ended and (end is None or now - end > _RETRY_SOON):
        return False
    if job.status == "failed":
        return _would_be_repeated(job)
    return (end or now) - job.created_at >= _WAITED


async def find_unmarked_retry(jobs: JobReader, claim: Claim | None) -> Job | None:
    """Return the job of which a request without a key is a retry; None if it is a new request.

    Args:
        jobs: where jobs are stored.
        claim: the claim of the request, from `unmarked_claim`; None for a request that is never a retry.

    Raises:
        StorageUnavailable: the table does not respond.
    """
    earlier_id = await jobs.claiming_job_id(claim) if claim else None
    earlier = await jobs.get(earlier_id) if earlier_id else None
    if earlier is None or is_retry_of(earlier, utc_now()):
        return earlier
    was_unanswered = earlier.status == "succeeded" and await jobs.claiming_job_id(_unanswered_claim(earlier))
    return earlier if was_unanswered else None


async def expect_retry(jobs: JobCreator, job: Job, unmarked: Claim | None) -> None:
    """Remember a request before it is answered, if its client may retry it and the retry would be paid again.

    Args:
        jobs: where the request is remembered.
        job: the request's job, as it is answered.
        unmarked: as of `find_unmarked_retry`.
    """
    if unmarked is not None and _may_be_retried(job):
        await _remember(job, jobs.set_claim(unmarked, job.id))


async def expect_retry_of_unanswered(jobs: JobCreator, job: Job, unmarked: Claim | None = None) -> None:
    """Remember that a succeeded job could not be answered: its client may retry, and the retry would be paid again.

    For some seconds, an identical request is its repetition.

    Args:
        jobs: where that is remembered.
        job: the job.
        unmarked: as of `find_unmarked_retry`; None if the request was remembered before.
    """
    await _remember(job, jobs.set_claim(_unanswered_claim(job), job.id))
    if unmarked is not None:
        await _remember(job, jobs.set_claim(unmarked, job.id))


def _may_be_retried(job: Job) -> bool:
    """Return whether a client may retry the request of a job as it is answered now, and would pay again."""
    return not job.ended or (job.status == "failed" and _would_be_repeated(job))


def _would_be_repeated(job: Job) -> bool:
    error = job.to_error()
    return error.may_have_cost and error.status >= _SERVER_ERROR


def _unanswered_claim(job: Job) -> Claim:
    """Return the claim that says that a job could not be answered. No owner is called `job`."""
    return Claim(f"retry#job#{job.id}", "", int(_RETRY_SOON.total_seconds()), replaces=True)


async def _remember(job: Job, write: Awaitable[None]) -> None:
    try:
        async with time_limit(_REMEMBERING_SECONDS, "The table does not respond"):
            await write
    except StorageUnavailable:
        # The response is worth more than the protection against a retry.
        logger.exception("a request was not remembered for retries", extra={"job_id": job.id})
