"""How the jobs of one process share the slots that it holds, and how it keeps them."""

import asyncio
from collections.abc import Callable

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings
from image_gateway.slots.occupancy import LEASE_SECONDS, PROBATION_SECONDS, QUANTUM_SECONDS, Holder, Occupancy
from image_gateway.slots.process import ProcessSlots
from image_gateway.slots.shared import FIRST_RENEWAL_SECONDS, RENEWAL_SECONDS, Slot
from image_gateway.slots.store import SlotStore
from tests.polling import DEADLINE_SECONDS, until
from tests.unit.slots.counting_aws import CountingAws
from tests.unit.slots.slot_clock import SlotClock

pytestmark = pytest.mark.anyio

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


@pytest.fixture
def process(aws: Aws, settings: Settings, clock: SlotClock) -> Start:
    """Create processes that share the slots of one server."""
    return lambda limit=1: Process(aws, settings, clock, limit)


async def holders(store: SlotStore) -> list[Holder]:
    """Return who has the slots, in the order of the jobs' ids."""
    occupancy = await store.take(SERVER, 0, Holder("nobody", "a", "none", 0, 0, 1, 0))
    assert isinstance(occupancy, Occupancy)
    return sorted(occupancy.holders, key=lambda holder: holder.job_id)


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


async def test_a_slot_is_renewed_while_its_job_runs(process: Start, clock: SlotClock) -> None:
    """Nobody takes the slot of a job that runs for ten minutes, and it costs four writes a minute."""
    worker, other = process(), process()
    worker.start(0)
    await worker.settle()

    for minute in range(10):
        await clock.advance(60)
        other.start(minute)
        await other.settle()

    assert len(other.refused) == 10
    assert worker.aws.calls["UpdateItem"] <= 2 + 10 * 60 / RENEWAL_SECONDS
    await worker.end(0)
    await clock.advance(6)
    other.start(10)
    await other.settle()
    assert list(other.running) == [10]


async def test_an_outage_of_the_table_frees_no_slot_of_a_running_job(process: Start, clock: SlotClock) -> None:
    """The job goes on, and so does its slot: it is renewed when the table is available again, before others take it."""
    worker, other = process(), process()
    worker.start(0)
    await worker.settle()
    worker.aws.reachable = False
    await clock.advance(300)
    assert list(worker.running) == [0]

    other.start(0)
    await other.settle()
    worker.aws.reachable = True
    await clock.advance(PROBATION_SECONDS - 1)
    other.start(1)
    await other.settle()
    await clock.advance(PROBATION_SECONDS)
    other.start(2)
    await other.settle()

    assert list(other.refused) == [0, 1, 2]
    assert list(worker.running) == [0]


async def test_a_process_that_is_cut_off_for_long_loses_its_slot_but_not_its_job(
    process: Start, clock: SlotClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process takes the slot as a dead holder's. The cut off process starts no other job with it."""
    worker, other = process(), process()
    worker.start(0, 1)
    await worker.settle()
    worker.aws.reachable = False
    for number in range(3):
        await clock.advance(LEASE_SECONDS)
        other.start(number)
        await other.settle()
    ((taken, slot),) = other.running.items()
    assert slot.replaces_dead
    worker.aws.reachable = True
    await clock.advance(2 * RENEWAL_SECONDS)
    assert caplog.text.count("was lost") == 1

    assert list(worker.running) == [0]
    await worker.end(0)
    await worker.settle()

    assert list(worker.refused) == [1]
    assert list(other.running) == [taken]


async def test_a_lost_slot_is_taken_again_if_it_is_free(
    process: Start, store: SlotStore, clock: SlotClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Who had taken it for a dead holder's slot has released it by then."""
    worker, other = process(), process()
    worker.start(0)
    await worker.settle()
    worker.aws.reachable = False
    for number in range(3):
        await clock.advance(LEASE_SECONDS)
        other.start(number)
        await other.settle()
    await other.end(next(iter(other.running)))
    worker.aws.reachable = True
    await clock.advance(5)

    assert [holder.job_id for holder in await holders(store)] == ["job-0"]
    assert "was lost" not in caplog.text


async def test_a_slot_that_is_not_certain_is_not_passed_on(process: Start, clock: SlotClock) -> None:
    """If the table fails, the next job is sent again, instead of starting beside another one."""
    worker = process()
    worker.start(0, 1)
    await worker.settle()
    worker.aws.reachable = False
    await clock.advance(LEASE_SECONDS - 5)

    await worker.end(0)
    await until(lambda: worker.failed)

    assert (worker.failed, worker.running) == ([1], {})


async def test_a_failure_of_the_table_is_asked_for_once(process: Start) -> None:
    """Ten jobs that arrive together fail together, and do not wait for the table one after another."""
    worker = process()
    worker.aws.reachable = False

    worker.start(*range(10))
    await worker.settle()

    assert sorted(worker.failed) == list(range(10))
    assert worker.aws.calls == {"UpdateItem": 1}


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


async def test_a_slot_that_cannot_be_released_expires(
    process: Start, clock: SlotClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The job has succeeded all the same, and another process gets the slot after about a minute."""
    worker, other = process(), process()
    worker.start(0)
    await worker.settle()
    worker.aws.reachable = False
    await worker.end(0)
    assert "expires by itself" in caplog.text

    await clock.advance(LEASE_SECONDS + 1)
    other.start(0)
    await other.settle()
    await clock.advance(PROBATION_SECONDS)
    other.start(1)
    await other.settle()

    assert list(other.running) == [1]


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
