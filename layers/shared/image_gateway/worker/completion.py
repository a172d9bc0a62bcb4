"""Completes jobs: stores their end, publishes it, and records it in the batch of a request file.

The dead-letter function uses this too. So nothing here reads the configuration, calls an engine or fetches a link.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable

from image_gateway.aws import Remaining, persist, storage_errors
from image_gateway.batches.tracking import BatchTracker
from image_gateway.errors import GatewayError, Interrupted
from image_gateway.images.store import ImageStore
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.attempt import finish_with_retries
from image_gateway.jobs.pricing import set_cost_of_restored
from image_gateway.jobs.restoration import restore_from_images
from image_gateway.jobs.store import JobStore, Lease
from image_gateway.models.jobs import Job

logger = logging.getLogger(__name__)

MARGIN_SECONDS = 15.0
"""Seconds that a job needs beyond its engine's timeout, to store its images and its completion."""
GRACE_SECONDS = 2.0
"""Seconds by which leases outlast the invocation."""
_RECORD_MARGIN_SECONDS = 4.0
"""Seconds before the end of an invocation at which a record is given up that the table does not accept."""
_BATCH_MARGIN_SECONDS = 2.0
"""The same for a batch and its results, which are written after the record."""


class JobCompletion:
    """Completes jobs.

    Args:
        jobs: where jobs are stored.
        announcements: publishes completions.
        batches: tracks the jobs of request files.
        images: the images of jobs whose record was not written.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        jobs: JobStore,
        announcements: Announcements,
        batches: BatchTracker,
        images: ImageStore,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._jobs = jobs
        self._announcements = announcements
        self._batches = batches
        self._images = images
        self._sleep = sleep

    async def complete(self, job: Job, holder: str, remaining: Remaining) -> bool:
        """Store the end of a leased job and publish it. Return False if it could not be published.

        Args:
            job: the job.
            holder: who holds its lease.
            remaining: returns the seconds that the invocation has left. The record is tried until shortly before.
        """
        if await self.record(job, holder, remaining):
            return await self._announcements.announce_by_message(job)
        logger.warning("another process ended the job first", extra={"job_id": job.id, "outcome": job.status})
        # Who canceled the job has announced that by now, or died. In that case the message is needed for it.
        stored = await self._jobs.get(job.id)
        return stored is None or stored.announced is not False

    async def record(self, job: Job, holder: str, remaining: Remaining) -> bool:
        """Store a leased job as `JobStore.finish`; tried until shortly before the end of the invocation."""
        return await finish_with_retries(
            self._jobs, job, holder, lambda: remaining() - _RECORD_MARGIN_SECONDS, self._sleep
        )

    async def complete_lost(self, lease: Lease, holder: str, remaining: Remaining, *, called: bool) -> bool:
        """Complete a job whose last holder died: with its stored images, or as interrupted. Returns as `complete`.

        `called` says whether an engine may have been called, and so paid.
        """
        what = "while the engine was working" if called else "while it read the input images"
        interrupted = Interrupted(f"The function ended {what}", may_have_cost=called)
        await self._restore_or_fail(lease, interrupted)
        return await self.complete(lease.job, holder, remaining)

    async def fail(self, job: Job, error: GatewayError, remaining: Remaining) -> bool:
        """Lease a job and complete it as failed, unless it was running before and its images are stored.

        Returns:
            False if another worker holds the job, or if its completion could not be published.
        """
        holder = uuid.uuid4().hex
        lease = await self._jobs.lease(job.id, holder, remaining() + GRACE_SECONDS, job.engine)
        if lease is None:
            return await self.has_ended(job.id)
        await self._restore_or_fail(lease, error)
        return await self.complete(lease.job, holder, remaining)

    async def _restore_or_fail(self, lease: Lease, error: GatewayError) -> None:
        was_running = lease.interrupted_engine is not None
        if was_running and await restore_from_images(lease.job, self._images):
            set_cost_of_restored(lease.job)
        else:
            lease.job.fail(error)

    async def give_up(
        self, job_id: str, error: GatewayError, remaining: Remaining, *, redelivered: bool = False
    ) -> bool:
        """Fail a job with this error unless it has ended.

        The other arguments, the result and what is raised are those of `worker.Worker.process`.
        """
        job = await self._jobs.get(job_id)
        if job is None:
            return True
        error.may_have_cost = job.attempts > 0
        if not job.ended:
            processed = await self.fail(job, error, remaining)
        else:
            processed = await self.announce(job, redelivered=redelivered)
        await self.record_in_batch(job, remaining)
        return processed

    async def announce(self, job: Job, *, redelivered: bool) -> bool:
        """Announce the end of a job where that is needed: see `Announcements.announce_if_needed`."""
        return await self._announcements.announce_if_needed(job, redelivered=redelivered)

    async def record_in_batch(self, job: Job, remaining: Remaining) -> None:
        """Record in the batch that a job has ended; nothing happens for a job that is in no batch.

        If the table or the bucket fails, this is tried until shortly before the end of the invocation.
        """
        with storage_errors("The end of the job was not recorded in its batch"):
            await persist(
                lambda: self._batches.record_job_end(job),
                lambda: remaining() - _BATCH_MARGIN_SECONDS,
                sleep=self._sleep,
            )

    async def has_ended(self, job_id: str) -> bool:
        """Return whether a job has ended; also true if it no longer exists, or if it is left to a newer version."""
        job = await self._jobs.get(job_id)
        return job is None or job.ended or job.left_to_newer_version
