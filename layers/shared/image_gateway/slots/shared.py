"""The slots of one server that one process holds, and how its jobs share them.

A job that finds no slot of a server waits inside the process if the process has another slot of that server: it gets
that slot next, which costs nothing. If the process has none, the job is better back in the queue for the time that
others are expected to need: see `Occupancy.wait_seconds`.

A slot is leased for less than a minute, and renewed while a job has it. If a renewal fails, the job goes on, because
its engine may have been paid, and the renewal is tried again. The slot is passed on to another job only while the lease
is certain.

If the next slot is reserved for another owner, the process releases its slot after a while, instead of passing it on to
more of its jobs.
"""

import asyncio
import logging
import math
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from image_gateway.aws.deadlines import time_limit
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.slots.occupancy import LEASE_SECONDS, QUANTUM_SECONDS, Holder, Occupancy
from image_gateway.slots.store import SlotStore, Taken

logger = logging.getLogger(__name__)

RENEWAL_SECONDS: Final = 15.0
"""How often the lease of a slot is renewed."""
FIRST_RENEWAL_SECONDS: Final = 2.0
"""When a slot is renewed for the first time if other jobs wait for it here: others learn how many they are."""
_RETRY_SECONDS: Final = 2.0
"""The pause after a renewal that failed."""
LOOK_SECONDS: Final = 5.0
"""How long the jobs of this process rely on what one of them has seen of a full server."""
_MAX_RELEASE_SECONDS: Final = 2.0
_LATEST_DURATION_SHARE: Final = 0.3
"""The weight of a job's duration in what is learned, beside that of earlier jobs."""

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Slot:
    """A slot that this process holds.

    Attributes:
        id: the id of the holder in the table.
        owner: the owner of the job that has the slot.
        job_id: the job that has the slot.
        taken_at: when the slot was taken, in seconds since 1970.
        started_at: when the job got the slot, in seconds since 1970.
        lease_until: until when the slot is certainly held, in seconds since 1970.
        replaces_dead: whether a dead holder had the slot before, whose job may still run on the server.
        lost: whether the slot was taken for a dead holder's.
    """

    id: str
    owner: str
    job_id: str
    taken_at: float
    started_at: float
    lease_until: float
    replaces_dead: bool = False
    lost: bool = False
    renewing: asyncio.Task[None] | None = field(default=None, repr=False)


@dataclass(eq=False, slots=True)
class _WaitingJob:
    """A job that waits for a slot. Its future gets the slot, or None if the job should look again."""

    id: str
    owner: str
    slot: "asyncio.Future[Slot | None]"


class SharedSlots:
    """The slots of one server that this process holds.

    Args:
        server: the server.
        store: the slots that all processes share.
        sleep: waits for a number of seconds.

    Attributes:
        server: the server.
        store: the slots that all processes share.
    """

    def __init__(self, server: str, store: SlotStore, sleep: Sleep) -> None:
        self.server = server
        self.store = store
        self._sleep = sleep
        self._limit = 1
        self._held: list[Slot] = []
        self._waiting: deque[_WaitingJob] = deque()
        self._looking = asyncio.Lock()
        self._refused: dict[str, float] = {}
        """When a job of this process was last refused, for each owner."""
        self._occupancy = Occupancy(())
        self._failed_at = -math.inf
        self._failure = ""
        self._job_seconds: float | None = None

    async def acquire(
        self,
        limit: int,
        job_id: str,
        owner: str,
        max_wait_seconds: float,
        *,
        reserve: bool = True,
        known_seconds: float = LOOK_SECONDS,
    ) -> Slot:
        """Take a slot, or wait for one that this process holds.

        Args:
            limit: how many jobs the server may run at once, from all processes together.
            job_id: the job that needs the slot.
            owner: the job's owner.
            max_wait_seconds: how long to wait for another job of this process.
            reserve: whether the next slot may be reserved for the owner if the server is full.
            known_seconds: for how long what another job has seen of the full server counts for this one.

        Raises:
            Busy: the server is full; `retry_after` says after how many seconds to try again.
            StorageUnavailable: the table does not respond, so that no slot was taken.
        """
        self._limit = limit
        clock = asyncio.get_running_loop().time
        deadline = clock() + max_wait_seconds
        while True:
            arrived = self.store.now()
            async with self._looking:
                if slot := await self._look(job_id, owner, arrived, reserve=reserve, known_seconds=known_seconds):
                    return slot
                if not self._held:
                    raise Busy("All slots of the server are taken", retry_after=self._wait_seconds(owner))
                waiting = _WaitingJob(job_id, owner, asyncio.get_running_loop().create_future())
                self._waiting.append(waiting)
            if slot := await self._wait(waiting, deadline - clock()):
                return slot

    async def leave(self, slot: Slot) -> None:
        """Pass a slot on to the next job of this process, or release it."""
        job_seconds = self._learn(self.store.now() - slot.started_at)
        if not self._pass_on(slot):
            try:
                await self._release(slot, job_seconds)
            finally:
                # Only now, so that jobs that arrive meanwhile do not find the server full because of this slot.
                self._held.remove(slot)
                self._refused.clear()
                self._let_all_look()

    async def _look(
        self, job_id: str, owner: str, arrived: float, *, reserve: bool, known_seconds: float
    ) -> Slot | None:
        """Try to take a slot, unless it is known that there is none.

        What another job of this process and owner has found out since this job arrived is not looked up again.
        """
        if self._failed_at >= arrived:
            raise StorageUnavailable(self._failure, retry_after=1)
        known_since = min(arrived, self.store.now() - known_seconds)
        if len(self._held) >= self._limit or self._refused.get(owner, -math.inf) >= known_since:
            return None
        now = self.store.now()
        slot = Slot(uuid.uuid4().hex, owner, job_id, now, now, now + LEASE_SECONDS)
        try:
            taken = await self.store.take(self.server, self._limit, self._holder(slot), reserve=reserve)
        except StorageUnavailable as error:
            self._failed_at, self._failure = self.store.now(), error.detail
            raise
        if isinstance(taken, Occupancy):
            self._refused = {name: at for name, at in self._refused.items() if at >= now - LOOK_SECONDS}
            self._refused[owner], self._occupancy = self.store.now(), taken
            return None
        slot.replaces_dead = taken.replaces_dead
        self._occupancy = taken.occupancy
        if taken.occupancy.job_seconds is not None:
            self._job_seconds = taken.occupancy.job_seconds
        self._held.append(slot)
        slot.renewing = asyncio.create_task(self._keep(slot))
        return slot

    async def _wait(self, waiting: _WaitingJob, seconds: float) -> Slot | None:
        """Wait for a slot of this process. Returns None if the job should look again.

        Raises:
            Busy: there was none in that time.
        """
        try:
            await asyncio.wait([waiting.slot], timeout=max(seconds, 0))
        except asyncio.CancelledError:
            if waiting.slot.done() and (slot := waiting.slot.result()):
                await self.leave(slot)
            raise
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        if not waiting.slot.done():
            detail = "All slots of the server are taken by earlier jobs"
            raise Busy(detail, retry_after=self._wait_seconds(waiting.owner))
        return waiting.slot.result()

    def _pass_on(self, slot: Slot) -> bool:
        """Give a slot to the next job that waits, of another owner if possible.

        Returns:
            False if no job waits, if the slot is not certainly held, or if it is another owner's turn.
        """
        now = self.store.now()
        if not self._waiting or slot.lease_until - now < RENEWAL_SECONDS or len(self._held) > self._limit:
            return False
        waiting = next((job for job in self._waiting if job.owner != slot.owner), self._waiting[0])
        if self._occupancy.is_reserved(waiting.owner, now) and now - slot.taken_at >= QUANTUM_SECONDS:
            return False
        self._waiting.remove(waiting)
        slot.owner, slot.job_id, slot.started_at, slot.replaces_dead = waiting.owner, waiting.id, now, False
        waiting.slot.set_result(slot)
        return True

    def _let_all_look(self) -> None:
        """Let all jobs that wait look for themselves."""
        while self._waiting:
            self._waiting.popleft().slot.set_result(None)

    async def _release(self, slot: Slot, job_seconds: float) -> None:
        if slot.renewing:
            slot.renewing.cancel()
            await asyncio.wait([slot.renewing])
        try:
            async with time_limit(_MAX_RELEASE_SECONDS, "The slot was not released"):
                await self.store.release(self.server, slot.id, job_seconds)
        except StorageUnavailable:
            # The job is done. The slot is free when its lease has run out.
            logger.warning("a slot was not released and expires by itself", extra={"server": self.server})

    async def _keep(self, slot: Slot) -> None:
        """Renew the lease of a slot until this task is canceled."""
        await self._sleep(FIRST_RENEWAL_SECONDS)
        if not self._waiting:
            await self._sleep(RENEWAL_SECONDS - FIRST_RENEWAL_SECONDS)
        while True:
            await self._sleep(RENEWAL_SECONDS if await self._renew(slot) else _RETRY_SECONDS)

    async def _renew(self, slot: Slot) -> bool:
        """Renew the lease of a slot. Return False if the table does not respond."""
        lease_until = self.store.now() + LEASE_SECONDS
        try:
            occupancy = await self.store.renew(self.server, self._holder(slot, lease_until), self._job_seconds)
            if occupancy is None:
                occupancy = await self._regain(slot, lease_until)
        except StorageUnavailable as error:
            self._warn("a slot was not renewed; its job goes on", slot, reason=error.detail)
            return False
        if occupancy is None:
            return True
        slot.lease_until, slot.lost = lease_until, False
        self._occupancy = occupancy
        if len(occupancy.holders) < self._limit and self._waiting:
            self._refused.clear()
            self._waiting.popleft().slot.set_result(None)
        return True

    async def _regain(self, slot: Slot, lease_until: float) -> Occupancy | None:
        """Take a slot again that this process has lost, if another is free. Its job goes on in any case."""
        taken = await self.store.take(self.server, self._limit, self._holder(slot, lease_until))
        if isinstance(taken, Taken):
            return taken.occupancy
        if not slot.lost:
            self._warn("a slot was lost; its job goes on, beside as many others as there are slots", slot)
        slot.lost = True
        return None

    def _holder(self, slot: Slot, lease_until: float | None = None) -> Holder:
        jobs = 1 + math.ceil(len(self._waiting) / max(len(self._held), 1))
        lease_until = lease_until or slot.lease_until
        return Holder(slot.id, slot.owner, slot.job_id, slot.taken_at, slot.started_at, jobs, lease_until)

    def _wait_seconds(self, owner: str) -> float:
        """Return the seconds after which a job that goes back to the queue should look again."""
        own = [self._holder(slot) for slot in self._held]
        occupancy = Occupancy(tuple(own), self._job_seconds) if own else self._occupancy
        return occupancy.wait_seconds(owner, self.store.now())

    def _learn(self, seconds: float) -> float:
        """Learn from the duration of a job, and return how long a job has a slot."""
        earlier = seconds if self._job_seconds is None else self._job_seconds
        self._job_seconds = earlier + _LATEST_DURATION_SHARE * (seconds - earlier)
        return self._job_seconds

    def _warn(self, message: str, slot: Slot, **fields: str) -> None:
        logger.warning(message, extra={"server": self.server, "job_id": slot.job_id, **fields})
