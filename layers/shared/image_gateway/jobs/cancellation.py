"""Cancels jobs: one that is queued never runs, one that runs is stopped at its engine where that can be.

Where an engine tells one job's runs from another's, they are stopped from here, at once. Whoever works at the job sees
the cancellation in its record, and stops what it does itself: see `watch`.
"""

from image_gateway.config.store import ConfigStore
from image_gateway.errors import Busy, Canceled, Conflict
from image_gateway.jobs.engine_cancellation import STOP_SECONDS, EngineCanceler
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job

_TRIES = 5


class Cancellation:
    """Cancels one job after another.

    Args:
        jobs: where jobs are kept.
        configs: the configuration of the deployment.
        engine: makes an engine.
        events: who is told.
        queue: has the worker close a request file whose last line this was.
        stop_seconds: how long an engine may take to stop a run.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        configs: ConfigStore,
        engine: EngineFactory,
        events: JobEvents,
        queue: JobQueue,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._jobs = jobs
        self._engine_canceler = EngineCanceler(configs, engine, seconds=stop_seconds)
        self._events = events
        self._queue = queue

    async def cancel(self, job: Job) -> Job:
        """Cancel a job. What its engine still makes is not shown, and a run that cannot be stopped is logged.

        Returns:
            The canceled job.

        Raises:
            Conflict: it has ended.
            Busy: it changed all the while.
        """
        before, canceled = await self._end(job)
        await self._events.publish_completion(canceled)
        # Also one that waits for another attempt may have left a run at its engine.
        if before.attempts:
            await self._engine_canceler.cancel(before)
        if canceled.batch:
            await self._queue.send(canceled.id)
        return canceled

    async def _end(self, job: Job) -> tuple[Job, Job]:
        """The job as it was, and as it is now."""
        for _ in range(_TRIES):
            if job.ended:
                raise Conflict(f"The job {job.id} has ended: it {_HOW[job.status]}")
            canceled = job.model_copy()
            canceled.fail(Canceled(f"The job {job.id} was canceled"))
            canceled.status = "canceled"
            if await self._jobs.end(canceled, expected_status=job.status):
                return job, canceled
            job = await self._jobs.get(job.id) or job
        raise Busy(f"The job {job.id} could not be canceled: its state changes", retry_after=1)


_HOW = {"succeeded": "succeeded", "failed": "failed", "canceled": "was canceled"}
