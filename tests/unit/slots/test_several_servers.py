"""A slot of the first of several servers that has one."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import Busy
from image_gateway.settings import Settings
from image_gateway.slots.process import ProcessSlots
from image_gateway.slots.shared import LOOK_SECONDS
from image_gateway.slots.store import SlotStore
from tests.loop_time import controlled_time
from tests.polling import until
from tests.unit.slots.slot_clock import SlotClock

pytestmark = pytest.mark.anyio

SERVERS = [("comfyui#http://10.0.0.1:8188", 1), ("comfyui#http://10.0.0.2:8188", 1)]


class Process:
    """A process whose jobs hold a slot of one of the servers until the test ends them."""

    def __init__(self, aws: Aws, settings: Settings, clock: SlotClock) -> None:
        self.store = SlotStore(aws, settings, now=clock.now)
        self.slots = ProcessSlots(self.store, sleep=clock.sleep)
        self.held: dict[str, AsyncExitStack] = {}

    async def hold(self, job: str, max_wait: float = 0, owner: str = "a") -> int:
        """Hold a slot for a job; return the number of its server."""
        held = AsyncExitStack()
        slots = self.slots.hold_any(SERVERS, job, owner, max_wait_seconds=max_wait)
        number, _ = await held.enter_async_context(slots)
        self.held[job] = held
        return number

    async def end(self, job: str) -> None:
        await self.held.pop(job).aclose()


@pytest.fixture
def one(aws: Aws, settings: Settings, clock: SlotClock) -> Process:
    return Process(aws, settings, clock)


@pytest.fixture
def two(aws: Aws, settings: Settings, clock: SlotClock) -> Process:
    return Process(aws, settings, clock)


async def test_the_first_server_with_a_slot_is_used(one: Process, two: Process) -> None:
    """Whichever process holds the others."""
    assert await one.hold("1") == 0
    assert await two.hold("2") == 1
    with pytest.raises(Busy):
        await two.hold("3")
    await one.end("1")

    assert await one.hold("4") == 0


async def test_a_job_gets_the_first_slot_that_becomes_free(one: Process) -> None:
    """Of those that its process uses. The other servers are left alone."""
    await one.hold("1")
    await one.hold("2")
    waiting = asyncio.create_task(one.hold("3", max_wait=600))
    await asyncio.sleep(0)
    await one.end("2")

    assert await waiting == 1
    assert set(await one.store.taken([name for name, _ in SERVERS])) == {name for name, _ in SERVERS}
    await one.end("3")
    await one.end("1")
    assert set((await one.store.taken([name for name, _ in SERVERS])).values()) == {0}


async def test_a_server_that_another_process_leaves_is_found(one: Process, two: Process, clock: SlotClock) -> None:
    """It is looked at again while the job waits for a server of its own process."""
    await one.hold("1")
    await two.hold("2")
    with controlled_time(asyncio.get_running_loop()) as loop_time:
        waiting = asyncio.create_task(one.hold("3", max_wait=600))
        await until(lambda: one.slots._servers[SERVERS[0][0]]._waiting)
        await two.end("2")
        clock.seconds += LOOK_SECONDS + 1
        while not waiting.done():
            loop_time.advance(LOOK_SECONDS + 1)
            await asyncio.sleep(0.01)

    assert waiting.result() == 1


async def test_a_job_without_a_slot_keeps_one_server_for_its_owner(one: Process, two: Process) -> None:
    """Not all: they would be idle until the job comes back."""
    await one.hold("1")
    await one.hold("2")
    with pytest.raises(Busy):
        await two.hold("3", owner="b")
    await one.end("2")

    assert await one.hold("4") == 1


async def test_a_job_that_goes_elsewhere_keeps_no_server_for_its_owner(one: Process, two: Process) -> None:
    """The next slot is for whoever comes first."""
    await one.hold("1")
    with pytest.raises(Busy):
        async with two.slots.hold_any(SERVERS[:1], "2", "b", max_wait_seconds=0, reserve=False):
            raise AssertionError("unreachable")
    await one.end("1")

    assert await one.hold("3") == 0


async def test_a_job_that_is_canceled_while_it_waits_leaves_no_slot(one: Process) -> None:
    """The next job gets it."""
    await one.hold("1")
    await one.hold("2")
    waiting = asyncio.create_task(one.hold("3", max_wait=600))
    await until(lambda: any(shared._waiting for shared in one.slots._servers.values()))
    waiting.cancel()
    await asyncio.wait([waiting])
    await one.end("1")
    await one.end("2")

    assert set((await one.store.taken([name for name, _ in SERVERS])).values()) == {0}
