"""A slot of the first of several servers that has one."""

import asyncio
from collections.abc import Sequence
from typing import Final

from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.slots.occupancy import MIN_WAIT_SECONDS
from image_gateway.slots.shared import LOOK_SECONDS, SharedSlots, Slot

_PAUSE_SECONDS: Final = 1.0
"""The pause between two looks at servers that this process does not use, while it waits for another one."""


async def acquire_any(
    servers: Sequence[SharedSlots],
    limits: Sequence[int],
    job_id: str,
    owner: str,
    max_wait_seconds: float,
    *,
    reserve: bool = True,
) -> tuple[int, Slot]:
    """Take a slot of the first server that has one, or wait for those of this process.

    Args:
        servers: the servers, in the order of preference.
        limits: how many jobs each of them may run at once.
        job_id: the job that needs the slot.
        owner: the job's owner.
        max_wait_seconds: how long to wait for another job of this process.
        reserve: whether the next slot of the first server may be reserved for the owner if all are full.

    Returns:
        The number of the server, from 0, and the slot.

    Raises:
        Busy: all servers are full, and this process uses none of them, or the time is up.
        StorageUnavailable: the table does not respond, so that no slot was taken.
    """
    if len(servers) == 1:
        return 0, await servers[0].acquire(limits[0], job_id, owner, max_wait_seconds, reserve=reserve)
    for number, server in enumerate(servers):
        try:
            # Only one server keeps its next slot for this owner: it would be idle in vain on the others.
            return number, await server.acquire(limits[number], job_id, owner, 0, reserve=reserve and number == 0)
        except Busy:
            continue
    return await _wait_for_any(servers, limits, job_id, owner, max_wait_seconds, reserve=reserve)


async def _wait_for_any(
    servers: Sequence[SharedSlots],
    limits: Sequence[int],
    job_id: str,
    owner: str,
    max_wait_seconds: float,
    *,
    reserve: bool,
) -> tuple[int, Slot]:
    clock = asyncio.get_running_loop().time
    deadline = clock() + max_wait_seconds
    waiting: dict[asyncio.Task[Slot], int] = {}

    def wait_for(number: int, known_seconds: float) -> None:
        acquiring = servers[number].acquire(
            limits[number],
            job_id,
            owner,
            deadline - clock(),
            reserve=reserve and number == 0,
            known_seconds=known_seconds,
        )
        waiting[asyncio.create_task(acquiring)] = number

    refused: dict[int, Busy] = {}
    for number in range(len(servers)):
        wait_for(number, LOOK_SECONDS)
    try:
        while waiting:
            timeout = _PAUSE_SECONDS if refused else None
            done, _ = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=waiting.__getitem__):
                if not isinstance(task.exception(), Busy):
                    number = waiting[task]
                    slot = task.result()
                    del waiting[task]
                    return number, slot
                refused[waiting.pop(task)] = task.exception()  # type: ignore[assignment]  # it is a `Busy`
            if not done:
                for number in await _free(servers, limits, list(refused)):
                    del refused[number]
                    wait_for(number, 0)
    finally:
        await _leave(servers, waiting)
    # The servers do together what waits for them, and each of them knows of all of it.
    wait = min(busy.retry_after or 0 for busy in refused.values()) / len(servers)
    raise Busy("All slots of all servers are taken", retry_after=max(wait, MIN_WAIT_SECONDS))


async def _free(servers: Sequence[SharedSlots], limits: Sequence[int], numbers: Sequence[int]) -> list[int]:
    """Return those of some servers that have a free slot, by one read; none if the table does not respond."""
    try:
        taken = await servers[0].store.taken([servers[number].server for number in numbers])
    except StorageUnavailable:
        return []
    return [number for number in numbers if taken.get(servers[number].server, 0) < limits[number]]


async def _leave(servers: Sequence[SharedSlots], waiting: dict[asyncio.Task[Slot], int]) -> None:
    """Stop waiting. A slot that was taken at the last moment is left."""
    for task in waiting:
        task.cancel()
    if waiting:
        await asyncio.wait(waiting)
    for task, number in waiting.items():
        if not task.cancelled() and task.exception() is None:
            await servers[number].leave(task.result())
