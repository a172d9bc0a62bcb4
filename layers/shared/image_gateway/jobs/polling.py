"""Polling of a job's record until the job has ended."""

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

from image_gateway.aws import time_limit
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.reader import JobReader
from image_gateway.models.jobs import Job, utc_now

_MIN_INTERVAL_SECONDS = 0.1
_MAX_INTERVAL_SECONDS = 2.0
_INTERVAL_PER_ROOT_OF_AGE = 0.2
_MAX_READ_SECONDS = 2.0
"""How long one read may take: the caller must get a response shortly after the longest wait."""


async def poll_until_ended(
    jobs: JobReader,
    job: Job,
    max_wait_seconds: float,
    *,
    sleep: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
) -> Job:
    """Poll a job until it has ended or the time is up, and return it as last read.

    Errors of the table are ignored, because the job does not depend on who polls it.

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
        await sleep(min(look_interval(age + waited), max_wait_seconds - waited))
        with suppress(StorageUnavailable):
            async with time_limit(_MAX_READ_SECONDS, "The job cannot be read"):
                job = await jobs.get(job.id) or job
    return job


def look_interval(age: float) -> float:
    """Return the seconds from one look at a job's record to the next; `age` is that of the job, in seconds.

    A job of unknown duration can be expected to take about as much longer as it has taken already. If a look costs `l`
    and a second of the waiting function `s`, looking at a job that takes `t` seconds costs least with an interval of
    `sqrt(2 * t * l / s)`. A consistent read costs 0.125 millionths of a dollar and a second of 1 GB 13, so that is
    `0.14 * sqrt(t)`. The interval is somewhat longer, because the reads of a table are limited as well. On average the
    caller is delayed by half of it: 0.1 s for a job of 1 s, 0.22 s for 5 s, 0.5 s for 25 s.
    """
    interval = _INTERVAL_PER_ROOT_OF_AGE * math.sqrt(age)
    return min(max(_MIN_INTERVAL_SECONDS, interval), _MAX_INTERVAL_SECONDS)
