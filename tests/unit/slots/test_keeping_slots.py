"""How a process keeps its slots: renewals, outages of the table, lost slots, and releases."""

import pytest

from image_gateway.slots.occupancy import LEASE_SECONDS, PROBATION_SECONDS
from image_gateway.slots.shared import RENEWAL_SECONDS
from image_gateway.slots.store import SlotStore
from tests.polling import until
from tests.unit.slots.processes import Start, holders
from tests.unit.slots.slot_clock import SlotClock

pytestmark = pytest.mark.anyio


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
