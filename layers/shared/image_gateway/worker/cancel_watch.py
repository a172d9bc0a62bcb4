"""Watches the records of running jobs, so that the worker stops working on a job that is canceled.

Only the holder of a job can stop it everywhere. It knows which requests it sent to the engine and which it is about to
send. While it waits for an engine that runs one job at a time, no other job runs there that could be hit instead.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from image_gateway.engines import REGISTRY
from image_gateway.errors import Canceled, StorageUnavailable
from image_gateway.jobs.engine_cancellation import EngineCanceler
from image_gateway.jobs.reader import JobReader
from image_gateway.models.jobs import Job

POLL_SECONDS = 2.0
"""Seconds between two reads of a job's record."""


class CancelWatch:
    """Watches for cancellations. If the table fails, the read is repeated later, and the job goes on.

    Args:
        jobs: where jobs are stored.
        engine_canceler: stops the runs of jobs at their engines.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        jobs: JobReader,
        engine_canceler: EngineCanceler,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._jobs = jobs
        self._engine_canceler = engine_canceler
        self._sleep = sleep

    async def check(self, job: Job) -> None:
        """Read a job's record once.

        Raises:
            Canceled: the job was canceled.
        """
        if await self._is_canceled(job.id):
            raise Canceled(f"The job {job.id} was canceled")

    @asynccontextmanager
    async def watch(self, job: Job) -> AsyncIterator[None]:
        """Cancel the block when the job is canceled, and stop the job's run, on an engine whose runs can be stopped.

        Raises:
            Canceled: the job was canceled.
        """
        if not REGISTRY[job.engine].can_stop:
            yield
            return
        try:
            # This timeout never expires by itself. `expired()` tells its own cancellation from cancellations by others.
            async with asyncio.timeout(None) as block:
                watching = asyncio.create_task(self._expire_when_canceled(job.id, block))
                try:
                    yield
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
        except TimeoutError:
            if not block.expired():
                raise
            await self._engine_canceler.cancel(job)
            raise Canceled(f"The job {job.id} was canceled") from None

    async def _expire_when_canceled(self, job_id: str, block: asyncio.Timeout) -> None:
        await self._sleep(POLL_SECONDS)
        while not await self._is_canceled(job_id):
            await self._sleep(POLL_SECONDS)
        block.reschedule(asyncio.get_running_loop().time())

    async def _is_canceled(self, job_id: str) -> bool:
        with suppress(StorageUnavailable):
            job = await self._jobs.get(job_id)
            return job is not None and job.status == "canceled"
        return False
