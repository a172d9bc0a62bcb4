"""What a job needs before it runs: a slot of its engine's server, and enough of the worker's memory."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from image_gateway.engines.protocol import Observable
from image_gateway.errors import Busy, GatewayError
from image_gateway.images.decoding.limits import TOTAL_MEMORY
from image_gateway.images.inputs import MAX_TOTAL_BYTES
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination
from image_gateway.slots.process import ProcessSlots

_IMAGE_BYTES = 16 * 2**20
"""Memory reserved for each output image, in bytes."""
_PROGRAM_MEMORY = 200 * 2**20
"""Memory of the program itself, in bytes."""
_MIN_SHARE = 0.25
"""Share of a function's memory that jobs may use even where the function has less than is recommended."""
_MEMORY_WAIT_SECONDS = (5.0, 10.0)
"""After how many seconds a job tries again for which there was no memory: a random time between these."""
_BUSY_PAUSE_SECONDS = 2.0
"""The pause between two questions whether a server is still busy."""


class Reservation:
    """Memory that a job holds.

    Args:
        size: so many bytes.
        destination: where the job goes.
        free: takes bytes back.
    """

    def __init__(self, size: int, destination: Destination, free: Callable[[int], None]) -> None:
        self.size = size
        self.destination = destination
        self._free = free

    def shrink(self, job: Job) -> None:
        """Give back what the job does not need, because the size of its inputs is known now."""
        unneeded = self.size - _required_memory(job, self.destination)
        if unneeded > 0:
            self.size -= unneeded
            self._free(unneeded)


class Slots:
    """Gives the jobs of one process their slots and memory.

    Args:
        server_slots: the slots of servers.
        memory_megabytes: the function's memory.
        engine: creates an engine.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        server_slots: ProcessSlots,
        memory_megabytes: int,
        engine: EngineFactory,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._server_slots = server_slots
        self._engine = engine
        self._sleep = sleep
        self._total_memory = _jobs_memory(memory_megabytes * 2**20)
        self._free_memory = self._total_memory
        self._memory_freed = asyncio.Event()

    @asynccontextmanager
    async def hold(self, job: Job, *destinations: Destination, max_wait_seconds: float) -> AsyncIterator["Reservation"]:
        """Hold the job's slot and memory while the block runs.

        Args:
            job: the job.
            destinations: where it may go: to the first whose server has a slot. If none has one, to the first whose
                server becomes free.
            max_wait_seconds: how long to wait for other jobs of this process.

        Yields:
            The memory, of which the block can give some back, and the destination whose slot it is.

        Raises:
            Busy: there is no slot, or no memory; `retry_after` says after how many seconds to try again.
            StorageUnavailable: the table does not respond.
        """
        deadline = asyncio.get_running_loop().time() + max_wait_seconds
        async with AsyncExitStack() as held:
            destination = await self._take_slot(held, job, destinations, deadline)
            # A job that needs more than there is runs alone.
            size = min(_required_memory(job, destination), self._total_memory)
            await self._reserve_memory(size, deadline)
            reservation = Reservation(size, destination, self._free)
            try:
                yield reservation
            finally:
                self._free(reservation.size)

    def _free(self, size: int) -> None:
        self._free_memory += size
        self._memory_freed.set()

    async def _take_slot(
        self, held: AsyncExitStack, job: Job, destinations: Sequence[Destination], deadline: float
    ) -> Destination:
        """Take a slot of one of the destinations, or none of the first whose server has no limit."""
        limits: list[tuple[str, int]] = []
        unlimited: Destination | None = None
        for destination in destinations:
            if destination.max_concurrent is None:
                unlimited = destination
                break
            limits.append((destination.server, destination.max_concurrent))
        if not limits:
            return destinations[0]
        max_wait = 0 if unlimited else deadline - asyncio.get_running_loop().time()
        # A job that goes elsewhere needs no slot to be kept for it.
        reserve = unlimited is None
        slots = self._server_slots.hold_any(limits, job.id, job.owner, max_wait_seconds=max_wait, reserve=reserve)
        try:
            number, slot = await held.enter_async_context(slots)
        except Busy:
            if unlimited is None:
                raise
            return unlimited
        if slot.replaces_dead and limits[number][1] == 1:
            await self._wait_until_idle(destinations[number], deadline)
        return destinations[number]

    async def _wait_until_idle(self, destination: Destination, deadline: float) -> None:
        """Wait until a server has ended what a dead holder left there, for as long as that may take.

        The work is not interrupted: a holder that only could not reach the table would lose images.
        """
        deadline = min(deadline, asyncio.get_running_loop().time() + destination.max_seconds)
        # The job's attempt reports what is wrong with the configuration.
        with suppress(GatewayError, TimeoutError):
            engine = self._engine(destination)
            async with asyncio.timeout_at(deadline):
                while isinstance(engine, Observable) and await engine.is_busy():
                    await self._sleep(_BUSY_PAUSE_SECONDS)

    async def _reserve_memory(self, size: int, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                while self._free_memory < size:
                    self._memory_freed.clear()
                    await self._memory_freed.wait()
        except TimeoutError:
            delay = random.uniform(*_MEMORY_WAIT_SECONDS)  # noqa: S311 - jitter, no secret
            message = "The worker has no memory left for this job: other jobs use it"
            raise Busy(message, retry_after=delay) from None
        self._free_memory -= size


def _jobs_memory(function_memory: int) -> int:
    """Return the bytes of a function's memory that jobs may use, beside the program and the decoding of images."""
    return max(function_memory - _PROGRAM_MEMORY - TOTAL_MEMORY, int(function_memory * _MIN_SHARE))


def _required_memory(job: Job, destination: Destination) -> int:
    """Estimate the bytes that a job needs: the engine's copies of its inputs, and large output images."""
    inputs = job.input_bytes if job.input_bytes is not None or not job.inputs else MAX_TOTAL_BYTES
    copies = destination.input_copies if inputs else 0
    return (inputs or 0) * copies + (job.request.get("n") or 1) * _IMAGE_BYTES
