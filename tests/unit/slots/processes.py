"""A process with jobs for one server, whose ends the test decides."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from image_gateway.aws import Aws
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings
from image_gateway.slots.occupancy import Holder, Occupancy
from image_gateway.slots.process import ProcessSlots
from image_gateway.slots.store import SlotStore
from tests.counting_aws import CountingAws
from tests.polling import DEADLINE_SECONDS, until
from tests.unit.slots.slot_clock import SlotClock

if TYPE_CHECKING:
    from image_gateway.slots.shared import Slot

SERVER = "automatic1111#http://10.0.0.1:7860"


class Process:
    """A process with jobs for one server. A job has its slot until the test ends it.

    Attributes:
        aws: counts the calls of this process.
        running: the slots of the jobs that run, by the job's number.
        refused: for each job that was refused, after how many seconds it should try again.
        failed: the jobs for which the table did not respond.
    """

    def __init__(self, aws: Aws, settings: Settings, clock: SlotClock, limit: int) -> None:
        self.aws = CountingAws(aws)
        self.running: dict[int, Slot] = {}
        self.refused: dict[int, float] = {}
        self.failed: list[int] = []
        self._slots = ProcessSlots(SlotStore(self.aws, settings, now=clock.now), sleep=clock.sleep)
        self._limit = limit
        self._ends: dict[int, asyncio.Event] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, *numbers: int, owner: str = "a", max_wait: float = DEADLINE_SECONDS) -> None:
        """Start jobs of one owner, all at once."""
        for number in numbers:
            self._ends[number] = asyncio.Event()
            self._tasks[number] = asyncio.create_task(self._run(number, owner, max_wait))

    async def end(self, number: int) -> None:
        """End a job that runs."""
        self._ends[number].set()
        await asyncio.wait([self._tasks[number]])
        self._tasks.pop(number).result()

    async def cancel(self, number: int) -> None:
        """Cancel the task of a job."""
        self._tasks[number].cancel()
        await asyncio.wait([self._tasks.pop(number)])

    async def settle(self) -> None:
        """Wait until each job runs, waits for another one of this process, or was refused."""
        await until(lambda: len(self.running) + self._count_waiting() == self._count_unfinished())

    def _count_waiting(self) -> int:
        return sum(len(shared._waiting) for shared in self._slots._servers.values())

    def _count_unfinished(self) -> int:
        return sum(not task.done() for task in self._tasks.values())

    async def _run(self, number: int, owner: str, max_wait: float) -> None:
        try:
            job_id = f"job-{number}"
            async with self._slots.hold(SERVER, self._limit, job_id, owner, max_wait_seconds=max_wait) as slot:
                self.running[number] = slot
                await self._ends[number].wait()
                del self.running[number]
        except Busy as busy:
            self.refused[number] = busy.retry_after or 0
        except StorageUnavailable:
            self.failed.append(number)


Start = Callable[..., Process]


async def holders(store: SlotStore) -> list[Holder]:
    """Return who has the slots, in the order of the jobs' ids."""
    occupancy = await store.take(SERVER, 0, Holder("nobody", "a", "none", 0, 0, 1, 0))
    assert isinstance(occupancy, Occupancy)
    return sorted(occupancy.holders, key=lambda holder: holder.job_id)
