"""Cancellation of jobs: a queued job never runs, a running job is stopped at its engine where that is possible.

Where an engine can tell one job's run from others, `Cancellation` stops the run at once. The worker that runs the job
reads the cancellation in the job's record, and stops what it does itself: see `worker.cancel_watch`.
"""

import logging

from image_gateway.engines import REGISTRY
from image_gateway.errors import Busy, Canceled, Conflict, StorageUnavailable
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.engine_cancellation import CANCEL_TIMEOUT_SECONDS, EngineCanceler
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.routing.router import Router

logger = logging.getLogger(__name__)

_TRIES = 5
_OUTCOMES = {"succeeded": "succeeded", "failed": "failed", "canceled": "was canceled"}


class Cancellation:
    """Cancels jobs.

    Args:
        jobs: the job records.
        router: knows where the jobs run.
        engine: creates an engine.
        announcements: publishes the completion.
        queue: reaches the worker that completes a request file whose last line was canceled.
        engine_timeout_seconds: how long an engine may take to stop a run.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        router: Router,
        engine: EngineFactory,
        announcements: Announcements,
        queue: JobQueue,
        engine_timeout_seconds: float = CANCEL_TIMEOUT_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._engine_canceler = EngineCanceler(router, engine, timeout_seconds=engine_timeout_seconds)
        self._announcements = announcements
        self._queue = queue

    async def cancel(self, job: Job) -> Job:
        """Cancel a job. Images that its engine still makes are not shown; a run that cannot be stopped is logged.

        Returns:
            The canceled job.

        Raises:
            Conflict: the job has ended.
            Busy: the job's status changed during each of several tries.
        """
        before, canceled = await self._record_cancellation(job)
        await self._announcements.announce(canceled)
        # A queued job that waits for another attempt may also have left a run at its engine.
        if before.attempts:
            await self._engine_canceler.cancel(before)
        if canceled.batch:
            await self._send_to_worker(canceled)
        return canceled

    async def _send_to_worker(self, job: Job) -> None:
        """Let the worker record the end of a line in its request file now. The line's own message does that later."""
        try:
            await self._queue.send(job.id, owner=job.owner)
        except StorageUnavailable:
            logger.exception("the end of a line was not sent to the worker", extra={"job_id": job.id})

    async def _record_cancellation(self, job: Job) -> tuple[Job, Job]:
        """Return the job as it was before, and as it is now."""
        for _ in range(_TRIES):
            if job.ended:
                raise Conflict(f"The job {job.id} has ended: it {_OUTCOMES[job.status]}")
            canceled = job.model_copy()
            canceled.fail(Canceled(f"The job {job.id} was canceled", may_have_cost=_may_have_cost(job)))
            canceled.status = "canceled"
            self._announcements.expect(canceled)
            if await self._jobs.end(canceled, expected_status=job.status):
                return job, canceled
            job = await self._jobs.get(job.id) or job
        raise Busy(f"The job {job.id} could not be canceled: its status changes", retry_after=1)


def _may_have_cost(job: Job) -> bool:
    """Whether a job's engine may have been paid, although nobody gets what it makes.

    A queued job costs nothing, unless it waits for another attempt to find the run that an earlier one has left.
    """
    resumes_runs = job.engine in REGISTRY and REGISTRY[job.engine].resumes_runs
    return job.status == "running" or (job.attempts > 0 and resumes_runs)
