"""Cancels jobs: one that is queued never runs, one that runs is stopped at its engine where that can be."""

import asyncio
import logging

from image_gateway.config_store import ConfigStore
from image_gateway.engines.base import Cancellable
from image_gateway.errors import Busy, Canceled, Conflict, GatewayError
from image_gateway.job_events import JobEvents
from image_gateway.job_runner import fail
from image_gateway.job_store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.queue import JobQueue
from image_gateway.service import EngineFactory

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""How long an engine may take to stop a run."""
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
        self._configs = configs
        self._engine = engine
        self._events = events
        self._queue = queue
        self._stop_seconds = stop_seconds

    async def cancel(self, job: Job) -> Job:
        """Cancel a job. What its engine still makes is not shown, and a run that cannot be stopped is logged.

        Returns:
            The canceled job.

        Raises:
            Conflict: it has ended.
            Busy: it changed all the while.
        """
        before, canceled = await self._end(job)
        await self._events.ended(canceled)
        if before.status == "running":
            await self._stop(before)
        if canceled.batch:
            await self._queue.send(canceled.id)
        return canceled

    async def _end(self, job: Job) -> tuple[Job, Job]:
        """The job as it was, and as it is now."""
        for _ in range(_TRIES):
            if job.ended:
                raise Conflict(f"The job {job.id} has ended: it {_HOW[job.status]}")
            canceled = job.model_copy()
            fail(canceled, Canceled(f"The job {job.id} was canceled"))
            canceled.status = "canceled"
            if await self._jobs.end(canceled, before=job.status):
                return job, canceled
            job = await self._jobs.get(job.id) or job
        raise Busy(f"The job {job.id} could not be canceled: its state changes", retry_after=1)

    async def _stop(self, job: Job) -> None:
        try:
            config = (await self._configs.read()).config
            engine = self._engine(job.engine, config, edit=job.kind == "edit")
            if isinstance(engine, Cancellable):
                async with asyncio.timeout(self._stop_seconds):
                    await engine.cancel(job.id)
        except (GatewayError, TimeoutError) as error:
            code = error.code if isinstance(error, GatewayError) else "timeout"
            logger.warning(
                "a canceled job was not stopped at its engine",
                extra={"job_id": job.id, "engine": job.engine, "code": code},
            )


_HOW = {"succeeded": "succeeded", "failed": "failed", "canceled": "was canceled"}
