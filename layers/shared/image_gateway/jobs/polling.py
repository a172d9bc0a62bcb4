"""Polling of a job's record until the job has ended."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from image_gateway.aws import time_limit
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job, utc_now

_MIN_INTERVAL_SECONDS = 0.05
_MAX_INTERVAL_SECONDS = 1.0
_INTERVAL_PER_AGE = 0.05
_MAX_READ_SECONDS = 2.0
"""How long one read may take: the caller must get a response shortly after the longest wait."""


async def poll_until_ended(
    jobs: JobStore,
    job: Job,
    max_wait_seconds: float,
    *,
    sleep: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
) -> Job:
    """Poll a job until it has ended or the time is up, and return it as last read.

    The intervals grow with the job's age, so that polling delays the caller by at most a twentieth of the job's
    duration. Errors of the table are ignored, because the job does not depend on who polls it.

    Args:
        jobs: the job records.
        job: the job.
        max_wait_seconds: the longest wait.
        sleep: waits, in seconds.
        clock: returns monotonic seconds.
    """
    started = clock()
    age = max(0.0, (utc_now() - job.created_at).total_seconds())
    while not job.ended:
        waited = clock() - started
        if waited >= max_wait_seconds:
            break
        interval = min(max(_MIN_INTERVAL_SECONDS, (age + waited) * _INTERVAL_PER_AGE), _MAX_INTERVAL_SECONDS)
        await sleep(min(interval, max_wait_seconds - waited))
        with suppress(StorageUnavailable):
            async with time_limit(_MAX_READ_SECONDS, "The job cannot be read"):
                job = await jobs.get(job.id) or job
    return job
