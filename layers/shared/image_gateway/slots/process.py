"""The slots of all servers that one process holds."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from image_gateway.slots.first_free import acquire_any
from image_gateway.slots.shared import SharedSlots, Sleep, Slot
from image_gateway.slots.store import SlotStore


class ProcessSlots:
    """The slots of all servers that this process holds.

    Args:
        store: the slots that all processes share.
        sleep: waits for a number of seconds.
    """

    def __init__(self, store: SlotStore, *, sleep: Sleep = asyncio.sleep) -> None:
        self._store = store
        self._sleep = sleep
        self._servers: dict[str, SharedSlots] = {}

    @asynccontextmanager
    async def hold(
        self, server: str, limit: int, job_id: str, owner: str, *, max_wait_seconds: float
    ) -> AsyncIterator[Slot]:
        """Hold a slot of a server while the block runs.

        Args:
            server: the server.
            limit: how many jobs the server may run at once, from all processes together.
            job_id: the job that needs the slot.
            owner: the job's owner. Owners get slots in turn.
            max_wait_seconds: how long to wait for another job of this process.

        Raises:
            Busy: the server is full; `retry_after` says after how many seconds to try again.
            StorageUnavailable: the table does not respond, so that no slot was taken.
        """
        async with self.hold_any([(server, limit)], job_id, owner, max_wait_seconds=max_wait_seconds) as (_, slot):
            yield slot

    @asynccontextmanager
    async def hold_any(
        self,
        servers: Sequence[tuple[str, int]],
        job_id: str,
        owner: str,
        *,
        max_wait_seconds: float,
        reserve: bool = True,
    ) -> AsyncIterator[tuple[int, Slot]]:
        """Hold a slot of the first of several servers that has one, and yield the server's number and the slot.

        If none has one, this is the first that becomes free of those that this process uses. Meanwhile the other
        servers are looked at again every few seconds.

        Args:
            servers: the servers, each with how many jobs it may run at once, from all processes together.
            job_id: the job that needs the slot.
            owner: the job's owner. Owners get slots in turn.
            max_wait_seconds: how long to wait for another job of this process.
            reserve: whether the next slot of the first server may be reserved for the owner if all are full.

        Raises:
            Busy: all servers are full; `retry_after` says after how many seconds to try again.
            StorageUnavailable: the table does not respond, so that no slot was taken.
        """
        shared = [
            self._servers.setdefault(server, SharedSlots(server, self._store, self._sleep)) for server, _ in servers
        ]
        limits = [limit for _, limit in servers]
        number, slot = await acquire_any(shared, limits, job_id, owner, max_wait_seconds, reserve=reserve)
        try:
            yield number, slot
        finally:
            await shared[number].leave(slot)
