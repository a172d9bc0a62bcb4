"""Places that jobs wait for before a worker does them: on engines that do few things at once, and in its memory.

The jobs of one invocation wait for each other in this process, which costs nothing more; only then does one of them
wait for a place that another worker has, and not for long: it had better go back to the queue.
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

_MAX_WAIT = 5.0
_IMAGE_BYTES = 16 * 2**20
_SHARE = 0.6
"""Of a function's memory, what its jobs may take; the rest is the program's."""


class Slots:
    """Gives out places to the jobs of one process.

    Args:
        locks: places that workers share.
        memory_megabytes: of the function.
    """

    def __init__(self, locks: Locks, memory_megabytes: int) -> None:
        self._locks = locks
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._most = int(memory_megabytes * 2**20 * _SHARE)
        self._free = self._most
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def hold(
        self, job: Job, engine: str, config: ImagesConfig, *, max_wait_seconds: float, lease_seconds: float
    ) -> AsyncIterator[None]:
        """Hold what a job needs while the block runs.

        Args:
            job: which one.
            engine: what will do it.
            config: names the engine's server.
            max_wait_seconds: how long to wait.
            lease_seconds: after how long other workers take a holder for dead.

        Raises:
            Busy: there was no place for all that time.
            StorageUnavailable: the table cannot be written.
        """
        entry = REGISTRY[engine]
        give_up = asyncio.get_running_loop().time() + max_wait_seconds
        async with self._turn(entry, f"engine#{engine}#{getattr(config, entry.url_field)}", give_up, lease_seconds):
            size = min(_bytes(job, entry), self._most)
            await self._take(size, give_up)
            try:
                yield
            finally:
                self._free += size
                self._freed.set()

    @asynccontextmanager
    async def _turn(self, entry: EngineEntry, name: str, give_up: float, lease_seconds: float) -> AsyncIterator[None]:
        if entry.at_once is None:
            yield
            return
        turn = self._turns.setdefault(name, asyncio.Semaphore(entry.at_once))
        try:
            async with asyncio.timeout_at(give_up):
                await turn.acquire()
        except TimeoutError:
            raise Busy("The engine does few things at once, and others are before this job", retry_after=1) from None
        try:
            max_wait = min(_MAX_WAIT, give_up - asyncio.get_running_loop().time())
            async with self._locks.hold(
                name, slots=entry.at_once, lease_seconds=lease_seconds, max_wait_seconds=max_wait
            ):
                yield
        finally:
            turn.release()

    async def _take(self, size: int, give_up: float) -> None:
        try:
            async with asyncio.timeout_at(give_up):
                while self._free < size:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise Busy("The worker's memory is full of other jobs", retry_after=1) from None
        self._free -= size


def _bytes(job: Job, entry: EngineEntry) -> int:
    """What a job may take: its inputs as often as its engine's requests hold them, and large images."""
    inputs = job.input_bytes if job.input_bytes is not None or not job.inputs else MAX_TOTAL_BYTES
    return (inputs or 0) * entry.copies + (job.request.get("n") or 1) * _IMAGE_BYTES
