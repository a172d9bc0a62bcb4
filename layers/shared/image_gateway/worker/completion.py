"""Completes jobs: stores their end, publishes it, and records it in the batch of a request file.

The dead-letter function uses this too. So nothing here reads the configuration, calls an engine or fetches a link.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable

from image_gateway.batches.tracking import BatchTracker
from image_gateway.errors import GatewayError
from image_gateway.jobs.attempt import finish_with_retries
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 15.0
"""Seconds that a job needs beyond its engine's timeout, to store its images and its completion."""


class JobCompletion:
    """Completes jobs.

    Args:
        jobs: where jobs are stored.
        events: publishes completions.
        batches: tracks the jobs of request files.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        jobs: JobStore,
        events: JobEvents,
        batches: BatchTracker,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._jobs = jobs
        self._events = events
        self._batches = batches
        self._sleep = sleep

    async def complete(self, job: Job, holder: str) -> bool:
        """Store the end of a leased job and publish it. Return False if it could not be published."""
        if await finish_with_retries(self._jobs, job, holder, self._sleep):
            return await self.announce(job)
        logger.warning("another process ended the job first", extra={"job_id": job.id, "outcome": job.status})
        return True

    async def fail(self, job: Job, error: GatewayError) -> bool:
        """Lease a job and complete it as failed. Return False if another worker holds it."""
        holder = uuid.uuid4().hex
        lease = await self._jobs.lease(job.id, holder, MARGIN_SECONDS, job.engine)
        if lease is None:
            return await self.has_ended(job.id)
        lease.job.fail(error)
        return await self.complete(lease.job, holder)

    async def give_up(self, job_id: str, error: GatewayError, *, redelivered: bool = False) -> bool:
        """Fail a job with this error unless it has ended.

        Args:
            job_id: the job's id.
            error: why the job is given up.
            redelivered: whether the message was received before. Its receiver may have died before it published the
                completion, so the completion is published again.

        Returns:
            True if the message is processed. False if it must be redelivered, because another worker holds the job or
            the completion could not be published.

        Raises:
            StorageUnavailable: the table, the bucket or the queue failed; the message must be redelivered.
        """
        job = await self._jobs.get(job_id)
        if job is None:
            return True
        error.may_have_cost = job.attempts > 0
        if not job.ended:
            processed = await self.fail(job, error)
        else:
            processed = not redelivered or await self.announce(job)
        await self.record_in_batch(job)
        return processed

    async def announce(self, job: Job) -> bool:
        """Publish the end of a job. Return False if it could not be published."""
        return await self._events.publish_completion(job)

    async def record_in_batch(self, job: Job) -> None:
        """Record in the batch that a job has ended; nothing happens for a job that is in no batch."""
        await self._batches.record_job_end(job)

    async def has_ended(self, job_id: str) -> bool:
        """Return whether a job has ended; also true if it no longer exists."""
        job = await self._jobs.get(job_id)
        return job is None or job.ended
