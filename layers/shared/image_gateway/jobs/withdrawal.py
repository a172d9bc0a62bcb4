"""Withdrawal of jobs whose request fails while they are submitted: nothing may run later for which no caller waits."""

import logging

from image_gateway.aws import time_limit
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job

logger = logging.getLogger(__name__)

_MAX_SECONDS = 5.0
"""How long a request waits for the table to fail a job that may have been stored."""


class Withdrawal:
    """Fails jobs that were not submitted completely.

    Args:
        jobs: the job records.
        announcements: publishes completions.
    """

    def __init__(self, jobs: JobStore, announcements: Announcements) -> None:
        self._jobs = jobs
        self._announcements = announcements

    async def fail_if_stored(self, job: Job, error: StorageUnavailable) -> bool:
        """Fail a job of which it is not known whether it was stored.

        Returns:
            False if the table still does not respond.
        """
        try:
            async with time_limit(_MAX_SECONDS, "The job was not failed"):
                await self._fail(job, error)
        except StorageUnavailable:
            logger.exception("a job may have been stored", extra={"job_id": job.id})
            return False
        return True

    async def fail_unless_leased(self, job: Job, error: StorageUnavailable) -> Job:
        """Fail a job whose message was not accepted, or return the job if SQS did accept it and a worker has it.

        Raises:
            StorageUnavailable: `error`. It may have cost if the job could not be failed, because recovery will run it.
        """
        try:
            if not await self._fail(job, error):
                return await self._jobs.get(job.id) or job
        except StorageUnavailable:
            error.may_have_cost = True
        raise error

    async def _fail(self, job: Job, error: StorageUnavailable) -> bool:
        """Store the end of the job and announce it. Return False if it is not stored with its status."""
        failed = job.model_copy()
        failed.fail(error)
        self._announcements.expect(failed)
        if not await self._jobs.end(failed, expected_status=job.status):
            return False
        await self._announcements.announce(failed)
        return True
