"""Watches the records of running jobs, so that whoever works at one that is canceled leaves off.

Only the holder of a job can stop it everywhere: it knows what it has asked the engine for and what it is about to ask,
and while it waits for an engine that does one thing at a time, nobody else's work is there to be hit.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from image_gateway.engines import REGISTRY
from image_gateway.errors import Canceled, StorageUnavailable
from image_gateway.jobs.engine_stop import Stopper
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job

LOOK_SECONDS = 2.0
"""How long between two looks at a job's record."""


class CancelWatch:
    """Watches one job beside another. A table that does not answer is asked again, and changes nothing.

    Args:
        jobs: where jobs are kept.
        stopper: stops what they run at their engines.
        sleep: waits, in seconds.
    """

    def __init__(
        self, jobs: JobStore, stopper: Stopper, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._jobs = jobs
        self._stopper = stopper
        self._sleep = sleep

    async def look(self, job: Job) -> None:
        """Look at a job once.

        Raises:
            Canceled: it was canceled.
        """
        if await self._is_canceled(job.id):
            raise Canceled(f"The job {job.id} was canceled")

    @asynccontextmanager
    async def over(self, job: Job) -> AsyncIterator[None]:
        """Cancel the block when the job is, and stop what it runs: on an engine that can be stopped.

        Raises:
            Canceled: that happened.
        """
        if not REGISTRY[job.engine].stops:
            yield
            return
        try:
            # It never ends by itself, and tells its own end from those that others' cancellations put to the block.
            async with asyncio.timeout(None) as block:
                watching = asyncio.create_task(self._end_when_canceled(job.id, block))
                try:
                    yield
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
        except TimeoutError:
            if not block.expired():
                raise
            await self._stopper.stop(job)
            raise Canceled(f"The job {job.id} was canceled") from None

    async def _end_when_canceled(self, job_id: str, block: asyncio.Timeout) -> None:
        await self._sleep(LOOK_SECONDS)
        while not await self._is_canceled(job_id):
            await self._sleep(LOOK_SECONDS)
        block.reschedule(asyncio.get_running_loop().time())

    async def _is_canceled(self, job_id: str) -> bool:
        with suppress(StorageUnavailable):
            job = await self._jobs.get(job_id)
            return job is not None and job.status == "canceled"
        return False
