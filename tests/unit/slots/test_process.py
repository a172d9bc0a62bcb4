"""How the jobs of one process share the slots that it holds."""

import asyncio

import pytest

from image_gateway.slots.occupancy import QUANTUM_SECONDS
from image_gateway.slots.shared import FIRST_RENEWAL_SECONDS, RENEWAL_SECONDS
from image_gateway.slots.store import SlotStore
from tests.polling import until
from tests.unit.slots.processes import Start, holders
from tests.unit.slots.slot_clock import SlotClock

pytestmark = pytest.mark.anyio


async def test_jobs_of_one_process_get_its_slot_one_after_another(process: Start) -> None:
    """Ten jobs cost two writes: one takes the slot, and one releases it after the last job."""
    worker = process()
    worker.start(*range(10))
    await worker.settle()

    for number in range(10):
        assert list(worker.running) == [number]
        await worker.end(number)
        await until(lambda: worker.running or not worker._tasks)

    # The first take finds no item for the server, and creates it.
    assert worker.aws.calls == {"UpdateItem": 3}
    assert worker.refused == {}


async def test_ten_jobs_for_a_full_server_cost_one_write(process: Start, clock: SlotClock) -> None:
    """A process without a slot looks once for all its jobs, which go back to the queue until a slot is expected."""
    first, second = process(), process()
    first.start(0)
    await first.settle()
    await clock.advance(4)

    second.start(*range(10))
    await second.settle()

    assert second.aws.calls == {"UpdateItem": 1}
    assert len(second.refused) == 10
    assert all(0.9 * 6 <= seconds <= 1.2 * 6 for seconds in second.refused.values())
    await first.end(0)


async def test_a_process_uses_as_many_slots_as_are_free(process: Start, store: SlotStore) -> None:
    """One of three slots is taken: two of ten jobs run at once, and the others wait for them."""
    other, worker = process(3), process(3)
    other.start(0)
    await other.settle()

    worker.start(*range(10))
    await worker.settle()

    assert list(worker.running) == [0, 1]
    assert worker.refused == {}
    assert len(await holders(store)) == 3
    assert worker.aws.calls == {"UpdateItem": 3}


async def test_waiting_jobs_get_a_slot_that_another_process_releases(process: Start, clock: SlotClock) -> None:
    """The process sees the free slot when it renews its own."""
    other, worker = process(2), process(2)
    other.start(0)
    await other.settle()
    worker.start(0, 1, 2)
    await worker.settle()
    assert list(worker.running) == [0]

    await other.end(0)
    await clock.advance(FIRST_RENEWAL_SECONDS)
    await worker.settle()

    assert list(worker.running) == [0, 1]


async def test_others_learn_how_many_jobs_wait_for_a_slot_and_how_long_jobs_take(
    process: Start, store: SlotStore, clock: SlotClock
) -> None:
    """A job of another process goes back to the queue until the last of these jobs is expected to end."""
    worker, other = process(), process()
    worker.start(0, 1, 2, 3)
    await worker.settle()
    await clock.advance(30)
    await worker.end(0)
    await until(lambda: 1 in worker.running)
    await clock.advance(RENEWAL_SECONDS + 5)

    other.start(0)
    await other.settle()

    (holder,) = await holders(store)
    assert (holder.job_id, holder.jobs) == ("job-1", 3)
    assert 0.9 * 70 <= other.refused[0] <= 1.2 * 70


async def test_a_job_that_arrives_while_a_slot_is_released_takes_it(process: Start) -> None:
    """It does not find the server full because of the slot that its own process is about to release."""
    worker = process()
    worker.start(0)
    await worker.settle()

    ending = asyncio.create_task(worker.end(0))
    await until(lambda: not worker.running)
    worker.start(1)
    await ending
    await worker.settle()

    assert list(worker.running) == [1]


async def test_waiting_for_a_slot_ends_after_the_maximum_wait(process: Start) -> None:
    """The job goes back to the queue, and the slot passes to the next one."""
    worker = process()
    worker.start(0)
    await worker.settle()
    worker.start(1, max_wait=0)
    worker.start(2)
    await until(lambda: worker.refused)

    await worker.end(0)
    await until(lambda: worker.running)

    assert list(worker.refused) == [1]
    assert list(worker.running) == [2]


async def test_a_job_that_is_canceled_while_it_waits_leaves_the_slot_to_others(process: Start) -> None:
    """Its place in the process's line is removed."""
    worker = process()
    worker.start(0, 1, 2)
    await worker.settle()

    await worker.cancel(1)
    await worker.end(0)
    await until(lambda: worker.running)

    assert list(worker.running) == [2]


async def test_a_process_with_many_jobs_gives_way_to_another_owner(process: Start, clock: SlotClock) -> None:
    """After a minute, its other jobs go back to the queue, and the other owner's job gets the slot."""
    worker, other = process(), process()
    worker.start(*range(10), owner="a")
    await worker.settle()
    await clock.advance(5)
    other.start(0, owner="b")
    await other.settle()
    assert 0.9 * 5 <= other.refused[0] <= 1.2 * QUANTUM_SECONDS

    ended = 0
    while not worker.refused:
        await clock.advance(RENEWAL_SECONDS)
        await worker.end(ended)
        await worker.settle()
        ended += 1
    other.start(1, owner="b")
    await other.settle()

    assert ended == 4
    assert sorted(worker.refused) == [4, 5, 6, 7, 8, 9]
    assert list(other.running) == [1]


async def test_owners_in_one_process_get_its_slot_in_turn(process: Start) -> None:
    """The job of one owner does not wait for all jobs of another that came with it."""
    worker = process()
    worker.start(0, 1, 2, 3, owner="a")
    worker.start(4, 5, owner="b")
    await worker.settle()
    order = []

    while worker.running:
        (number,) = worker.running
        order.append(number)
        await worker.end(number)
        await worker.settle()

    assert order == [0, 4, 1, 5, 2, 3]
