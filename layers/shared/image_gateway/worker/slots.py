"""Slots that a job needs before it runs: one of its engine's server, and enough of the worker's memory.

The jobs of one invocation wait for each other inside this process, which costs nothing extra. Only the first of them
waits for a slot that another worker holds, and only briefly: after that it is better back in the queue.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from image_gateway.aws.locks import Locks
from image_gateway.engines import REGISTRY, EngineEntry
from image_gateway.errors import Busy
from image_gateway.images.inputs import MAX_TOTAL_BYTES
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job

_MAX_LOCK_WAIT_SECONDS = 5.0
_IMAGE_BYTES = 16 * 2**20
"""Memory reserved for each output image, in bytes."""
_MEMORY_SHARE = 0.6
"""Share of a function's memory that jobs may use. The rest is for the program itself."""


class Slots:
    """Assigns slots to the jobs of one process.

    Args:
        locks: the slots that all workers share.
        memory_megabytes: the function's memory.
    """

    def __init__(self, locks: Locks, memory_megabytes: int) -> None:
        self._locks = locks
        self._engine_slots: dict[str, asyncio.Semaphore] = {}
        self._total_memory = int(memory_megabytes * 2**20 * _MEMORY_SHARE)
        self._free_memory = self._total_memory
        self._memory_freed = asyncio.Event()

    @asynccontextmanager
    async def hold(
        self, job: Job, engine: str, config: ImagesConfig, *, max_wait_seconds: float, lease_seconds: float
    ) -> AsyncIterator[None]:
        """Hold the job's slot and memory while the block runs.

        Args:
            job: the job.
            engine: the engine that will run it.
            config: has the URL of the engine's server.
            max_wait_seconds: how long to wait.
            lease_seconds: after this time, other workers consider the holder dead.

        Raises:
            Busy: no slot or not enough memory became free within that time.
            StorageUnavailable: the table cannot be written.
        """
        entry = REGISTRY[engine]
        deadline = asyncio.get_running_loop().time() + max_wait_seconds
        server = f"engine#{engine}#{getattr(config, entry.url_field)}"
        async with self._engine_slot(entry, server, deadline, lease_seconds):
            # A job that needs more than there is runs alone.
            size = min(_required_memory(job, entry), self._total_memory)
            await self._reserve_memory(size, deadline)
            try:
                yield
            finally:
                self._free_memory += size
                self._memory_freed.set()

    @asynccontextmanager
    async def _engine_slot(
        self, entry: EngineEntry, server: str, deadline: float, lease_seconds: float
    ) -> AsyncIterator[None]:
        if entry.max_concurrent is None:
            yield
            return
        local = self._engine_slots.setdefault(server, asyncio.Semaphore(entry.max_concurrent))
        try:
            async with asyncio.timeout_at(deadline):
                await local.acquire()
        except TimeoutError:
            raise Busy("All slots of the engine are taken by earlier jobs", retry_after=1) from None
        try:
            max_wait = min(_MAX_LOCK_WAIT_SECONDS, deadline - asyncio.get_running_loop().time())
            async with self._locks.hold(
                server, slots=entry.max_concurrent, lease_seconds=lease_seconds, max_wait_seconds=max_wait
            ):
                yield
        finally:
            local.release()

    async def _reserve_memory(self, size: int, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                while self._free_memory < size:
                    self._memory_freed.clear()
                    await self._memory_freed.wait()
        except TimeoutError:
            raise Busy("The worker has no memory left for this job: other jobs use it", retry_after=1) from None
        self._free_memory -= size


def _required_memory(job: Job, entry: EngineEntry) -> int:
    """Estimate the bytes that a job needs: the engine's copies of its inputs, and large output images."""
    inputs = job.input_bytes if job.input_bytes is not None or not job.inputs else MAX_TOTAL_BYTES
    return (inputs or 0) * entry.input_copies + (job.request.get("n") or 1) * _IMAGE_BYTES
