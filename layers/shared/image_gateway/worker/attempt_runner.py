"""Runs one attempt at a queued job, within a time limit and until the job is canceled."""

import asyncio
import logging
from collections.abc import Callable

from image_gateway.aws import Remaining
from image_gateway.errors import Busy, EngineTimeout, GatewayError
from image_gateway.jobs.attempt import run_attempt
from image_gateway.jobs.execution import JobExecutor
from image_gateway.jobs.input_loading import JobInputs
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination
from image_gateway.worker.cancel_watch import CancelWatch

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
"""Seconds that an engine has to stop its run when the time limit is over."""
_STORING_MARGIN_SECONDS = 2.0
"""Seconds before the time limit at which images are given up that the bucket does not accept."""


class AttemptRunner:
    """Runs attempts at the jobs that a worker holds.

    Args:
        inputs: loads forms and images.
        executor: runs jobs on their engines.
        cancel_watch: notices cancellations.
    """

    def __init__(self, inputs: JobInputs, executor: JobExecutor, cancel_watch: CancelWatch) -> None:
        self._inputs = inputs
        self._executor = executor
        self._cancel_watch = cancel_watch

    async def may_have_called(self, job: Job) -> bool:
        """Return whether an attempt at a job that did not end may have called an engine.

        Raises:
            StorageUnavailable: the bucket does not respond.
        """
        return await self._inputs.were_read(job)

    async def run(
        self,
        job: Job,
        destination: Destination,
        remaining: Remaining,
        *,
        engine_seconds: float,
        inputs_read: Callable[[Job], None],
    ) -> GatewayError | None:
        """Run a leased job once, and set its status to `succeeded` or `failed`. Nothing is stored in its record.

        Args:
            job: the job.
            destination: where it goes.
            remaining: returns the seconds that are left for the attempt and for storing its images.
            engine_seconds: how long the engine may take. If reading the input images has left less, the engine is not
                called, and a later attempt finds them stored.
            inputs_read: called with the job when its inputs are read, and before its engine is called.

        Returns:
            Why the attempt failed; None if it succeeded.
        """
        seconds = remaining()
        were_read = asyncio.Event()

        def on_inputs() -> None:
            inputs_read(job)
            were_read.set()

        try:
            # The outer timeout limits the time that stopping the engine's run may take.
            async with asyncio.timeout(seconds + _STOP_SECONDS), asyncio.timeout(seconds):
                return await self._run(
                    job, destination, lambda: remaining() - _STORING_MARGIN_SECONDS, engine_seconds, on_inputs
                )
        except GatewayError as error:
            job.fail(error)
            return error
        except TimeoutError:
            if not were_read.is_set():
                late = Busy("The input images were not read in the time that the worker had left", retry_after=1)
                job.fail(late)
                return late
            # Nothing is lost on an engine that can resume the run.
            timeout = EngineTimeout(
                "The engine and its queue took longer than the time that the worker had left",
                may_have_cost=not destination.entry.resumes_runs,
            )
            job.fail(timeout)
            return timeout
        except ValueError as error:
            logger.error("a job's request cannot be read", extra={"job_id": job.id, "error": type(error).__name__})  # noqa: TRY400 - its message may hold the caller's data
            defect = GatewayError("The gateway failed; its log has more under this job's id")
            job.fail(defect)
            return defect

    async def _run(
        self,
        job: Job,
        destination: Destination,
        remaining: Remaining,
        engine_seconds: float,
        on_inputs: Callable[[], None],
    ) -> GatewayError | None:
        async with self._cancel_watch.watch(job):
            form, images, mask = await self._inputs.load(job)
            if images and remaining() + _STORING_MARGIN_SECONDS < engine_seconds:
                raise Busy("Reading the input images left too little time for the engine", retry_after=1)
            on_inputs()
            # The job may have been canceled while its images were loaded.
            if images or destination.entry.can_stop:
                await self._cancel_watch.check(job)
            return await run_attempt(self._executor, job, destination, form, images, mask=mask, remaining=remaining)
