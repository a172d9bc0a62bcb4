"""Slots of engines and memory, held by the jobs of one process or of several."""

import asyncio

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import Busy
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.worker.slots import Slots
from tests.polling import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

CONFIG = ImagesConfig(AUTOMATIC1111_BASE_URL="http://10.0.0.1:7860")


def edit_job(number: int, **fields: object) -> Job:
    return Job.model_validate({"id": str(number), "kind": "edit", "owner": "token:1", **fields})


class ConcurrencyCounter:
    """Runs jobs that hold slots for a moment, and counts how many hold one at the same time.

    Attributes:
        max_running: the highest number of jobs that held a slot at the same time.
        finished: the number of jobs that are finished.
    """

    def __init__(self, slots: Slots, engine: str) -> None:
        self._slots = slots
        self._engine = engine
        self._running = self.max_running = self.finished = 0

    async def run(self, job: Job) -> None:
        async with self._slots.hold(job, self._engine, CONFIG, max_wait_seconds=DEADLINE_SECONDS, lease_seconds=60):
            self._running += 1
            self.max_running = max(self.max_running, self._running)
            await asyncio.sleep(0.01)
            self._running -= 1
            self.finished += 1


@pytest.mark.parametrize(
    ("engine", "input_bytes", "max_running"),
    [("openai", 150_000_000, 4), ("gemini", 150_000_000, 1), ("openai", None, 5), ("openai", 1_000_000, 10)],
    ids=["two copies", "base64 in JSON", "size not known yet", "small"],
)
async def test_memory_limits_the_jobs_that_run_concurrently(
    gateway: Gateway, engine: str, input_bytes: int | None, max_running: int
) -> None:
    """Ten edits of one batch reserve what their engine's requests need, wait for each other, and all finish."""
    counter = ConcurrencyCounter(Slots(gateway._locks, 2048), engine)
    batch = [edit_job(number, inputs=["inputs/x/0.png"], input_bytes=input_bytes) for number in range(10)]

    await asyncio.gather(*(counter.run(job) for job in batch))

    assert (counter.max_running, counter.finished) == (max_running, 10)


async def test_a_job_that_needs_more_than_all_memory_runs_alone(gateway: Gateway) -> None:
    """A job is not refused because of its estimated memory."""
    counter = ConcurrencyCounter(Slots(gateway._locks, 128), "gemini")

    await asyncio.gather(*(counter.run(edit_job(number, input_bytes=100_000_000)) for number in range(2)))

    assert (counter.max_running, counter.finished) == (1, 2)


@pytest.mark.parametrize(("engine", "max_wait"), [("openai", 0.05), ("automatic1111", 0.05)])
async def test_waiting_for_a_slot_ends_after_the_maximum_wait(gateway: Gateway, engine: str, max_wait: float) -> None:
    """A job without a slot fails as busy, and the slot is free again when its holder has finished."""
    slots = Slots(gateway._locks, 64)
    async with slots.hold(edit_job(1, input_bytes=10**9), engine, CONFIG, max_wait_seconds=1, lease_seconds=60):
        with pytest.raises(Busy):
            async with slots.hold(edit_job(2), engine, CONFIG, max_wait_seconds=max_wait, lease_seconds=60):
                raise AssertionError("unreachable")

    async with slots.hold(edit_job(3), engine, CONFIG, max_wait_seconds=1, lease_seconds=60):
        pass


async def test_an_engine_slot_passes_to_the_next_job_of_the_process_at_once(gateway: Gateway) -> None:
    """An engine that runs one job at a time is never idle while a batch has jobs for it, and no lock is polled."""
    counter = ConcurrencyCounter(Slots(gateway._locks, 2048), "automatic1111")

    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*(counter.run(edit_job(number)) for number in range(10)))

    assert (counter.max_running, counter.finished) == (1, 10)


async def test_workers_share_the_slot_of_an_engine(gateway: Gateway) -> None:
    """A second process does not get the slot that the first one holds, and waits only briefly for it."""
    first, second = Slots(gateway._locks, 2048), Slots(gateway._locks, 2048)
    async with first.hold(edit_job(1), "automatic1111", CONFIG, max_wait_seconds=1, lease_seconds=60):
        with pytest.raises(Busy):
            async with second.hold(edit_job(2), "automatic1111", CONFIG, max_wait_seconds=0.05, lease_seconds=60):
                raise AssertionError("unreachable")
