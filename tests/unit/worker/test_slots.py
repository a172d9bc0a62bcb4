"""Places on engines and in memory, of the jobs of one process."""

import asyncio

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import Busy
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.worker.slots import Slots

pytestmark = pytest.mark.anyio

CONFIG = ImagesConfig(AUTOMATIC1111_BASE_URL="http://10.0.0.1:7860")


def job(number: int, **fields: object) -> Job:
    return Job.model_validate({"id": str(number), "kind": "edit", "owner": "token:1", **fields})


class Crowd:
    """Jobs that take places at once, each for some rounds of the event loop."""

    def __init__(self, slots: Slots, engine: str) -> None:
        self._slots = slots
        self._engine = engine
        self.here = self.most = self.done = 0

    async def come(self, one: Job) -> None:
        async with self._slots.hold(one, self._engine, CONFIG, max_wait_seconds=5, lease_seconds=60):
            self.here += 1
            self.most = max(self.most, self.here)
            await asyncio.sleep(0.01)
            self.here -= 1
            self.done += 1


@pytest.mark.parametrize(
    ("engine", "input_bytes", "together"),
    [("openai", 150_000_000, 4), ("gemini", 150_000_000, 1), ("openai", None, 5), ("openai", 1_000_000, 10)],
    ids=["held twice", "as base64 in JSON", "not read yet", "small"],
)
async def test_jobs_that_do_not_fit_into_memory_take_turns(
    gateway: Gateway, engine: str, input_bytes: int | None, together: int
) -> None:
    """Ten edits of one batch hold so much of it at once, by what their engine's requests need, and all are done."""
    crowd = Crowd(Slots(gateway._locks, 2048), engine)
    batch = [job(number, inputs=["inputs/x/0.png"], input_bytes=input_bytes) for number in range(10)]

    await asyncio.gather(*(crowd.come(one) for one in batch))

    assert (crowd.most, crowd.done) == (together, 10)


async def test_a_job_larger_than_all_memory_is_done_alone(gateway: Gateway) -> None:
    """It is not refused for what it might take."""
    crowd = Crowd(Slots(gateway._locks, 128), "gemini")

    await asyncio.gather(*(crowd.come(job(number, input_bytes=100_000_000)) for number in range(2)))

    assert (crowd.most, crowd.done) == (1, 2)


@pytest.mark.parametrize(("engine", "max_wait"), [("openai", 0.05), ("automatic1111", 0.05)])
async def test_nobody_waits_longer_than_there_is_time(gateway: Gateway, engine: str, max_wait: float) -> None:
    """A job without a place is told so, and goes back to the queue; the place is free when its holder has ended."""
    slots = Slots(gateway._locks, 64)
    async with slots.hold(job(1, input_bytes=10**9), engine, CONFIG, max_wait_seconds=1, lease_seconds=60):
        with pytest.raises(Busy):
            async with slots.hold(job(2), engine, CONFIG, max_wait_seconds=max_wait, lease_seconds=60):
                raise AssertionError("unreachable")

    async with slots.hold(job(3), engine, CONFIG, max_wait_seconds=1, lease_seconds=60):
        pass


async def test_jobs_of_one_process_follow_each_other_at_once(gateway: Gateway) -> None:
    """An engine that does one thing at a time never idles while the batch has a job for it, nor is the table asked."""
    crowd = Crowd(Slots(gateway._locks, 2048), "automatic1111")

    async with asyncio.timeout(5):
        await asyncio.gather(*(crowd.come(job(number)) for number in range(10)))

    assert (crowd.most, crowd.done) == (1, 10)


async def test_workers_share_an_engines_place(gateway: Gateway) -> None:
    """What one process holds, another does not get, and it does not wait for it for long."""
    one, other = Slots(gateway._locks, 2048), Slots(gateway._locks, 2048)
    async with one.hold(job(1), "automatic1111", CONFIG, max_wait_seconds=1, lease_seconds=60):
        with pytest.raises(Busy):
            async with other.hold(job(2), "automatic1111", CONFIG, max_wait_seconds=0.05, lease_seconds=60):
                raise AssertionError("unreachable")
