"""Announcement of the ends of jobs: each at least once, although the bus may refuse an event or a function may die.

Publishing cannot be part of the write that ends a job. So something that lasts must say whether it is still to be done.

- A worker's job has a message in the queue, which is deleted after the event was published. Nothing is written for it.
  If the message is delivered again, the event is published again, and that is recorded, so that further deliveries do
  not repeat it.
- Any other end (of inline jobs, canceled jobs, jobs that were never queued) is stored with `announced` = false, which
  becomes true after the event was published: one small write for each of these jobs. Where it stays false, the next
  message of the job announces the end. An inline job's message comes when its function must be dead, and the recovery
  sends one for every other job.

Settlement (see `jobs.settlement`) is part of it: it must happen after every end too, as surely and as lately. It is one
write with the record of the announcement, and a job counts as announced only when it is settled. Every settled job has
a mark, so the recovery also finds the jobs without one whose message was lost.
"""

import logging

from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.settlement import Settlement
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job

logger = logging.getLogger(__name__)


class Announcements:
    """Announces the ends of jobs.

    Args:
        jobs: records what was announced.
        events: publishes the events.
        settlement: charges jobs and counts their usage.
    """

    def __init__(self, jobs: JobStore, events: JobEvents, settlement: Settlement) -> None:
        self._jobs = jobs
        self._events = events
        self._settlement = settlement

    def expect(self, job: Job) -> None:
        """Mark a job as not announced, before its end is stored. Do this if no message guarantees its event."""
        if self._events.enabled or self._settlement.is_due(job):
            job.announced = False

    async def announce(self, job: Job) -> bool:
        """Publish the event about a job's end, settle the job, and record both. A failed record is logged.

        Returns:
            False if EventBridge did not accept the event, or if the job could not be settled.
        """
        published = await self._events.publish_completion(job)
        if self._settlement.is_due(job) and not await self._settlement.settle(job, announced=published):
            return False
        if published is not job.announced and (self._events.enabled or job.announced is not None):
            await self._record(job, announced=published)
        return published

    async def announce_by_message(self, job: Job) -> bool:
        """Announce and settle a job whose message is redelivered if this returns False. A success is not recorded.

        A refusal is recorded for the recovery, because the message may be delivered too often.
        """
        published = await self._events.publish_completion(job)
        settled = not self._settlement.is_due(job) or await self._settlement.settle(job, announced=None)
        if not (published and settled):
            await self._record(job, announced=False)
        return published and settled

    async def announce_if_needed(self, job: Job, *, redelivered: bool) -> bool:
        """Announce the end of a job, unless that is done, and settle the job, unless that is. Returns as `announce`.

        Args:
            job: an ended job, as it was read.
            redelivered: whether the job's message was received before. Its receiver may have died before it published
                the event.
        """
        if job.announced is False or (redelivered and job.announced is None):
            return await self.announce(job)
        # Settling is harmless while another process does it, so it needs no sign that the other one has died.
        return not self._settlement.is_due(job) or await self._settlement.settle(job, announced=None)

    async def announce_again(self, job: Job, *, redelivered: bool) -> bool:
        """Announce the end of a job to the sender of a repeated request. Returns as `announce`.

        Args:
            job: the ended job of the earlier request, as it was read.
            redelivered: whether the message of the repeated request was received before. Then its receiver has probably
                published the event, which is repeated at most once, as for any job.
        """
        if redelivered or job.announced is False:
            return await self.announce_if_needed(job, redelivered=redelivered)
        return await self.announce_by_message(job)

    async def _record(self, job: Job, *, announced: bool) -> None:
        try:
            await self._jobs.set_announced(job, announced=announced)
        except StorageUnavailable:
            logger.exception("a job's announcement was not recorded", extra={"job_id": job.id, "announced": announced})
