"""Slots and memory, held by the jobs of one process."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import Busy, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.models.servers import ServerAccess
from image_gateway.routing.destination import Destination
from image_gateway.slots.occupancy import LEASE_SECONDS, PROBATION_SECONDS, Holder
from image_gateway.slots.process import ProcessSlots
from image_gateway.slots.store import SlotStore
from image_gateway.worker.slots import Slots
from tests.loop_time import controlled_time
from tests.polling import DEADLINE_SECONDS
from tests.unit.slots.slot_clock import SlotClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_gateway.jobs.engine_factory import EngineFactory
    from image_gateway.models.servers import Dialect

pytestmark = pytest.mark.anyio

CONFIG = ImagesConfig(AUTOMATIC1111_BASE_URL="http://10.0.0.1:7860", IMAGE_ENGINE_TIMEOUT=60)


def edit_job(number: int, **fields: object) -> Job:
    return Job.model_validate({"id": str(number), "kind": "edit", "owner": "token:1", **fields})


def destination(engine: str) -> Destination:
    return Destination(engine=engine, model=None, config=CONFIG, edit=True)


class EngineServer:
    """An engine that is busy at some of the calls. `calls` counts them; `when_called` is called at each."""

    def __init__(self, busy: float = 0) -> None:
        self.busy = busy
        self.calls = 0
        self.when_called: Callable[[], None] = lambda: None

    def __call__(self, _destination: Destination) -> Any:
        if self.busy < 0:
            raise NotConfigured("no URL", field="AUTOMATIC1111_BASE_URL")
        return self

    async def is_busy(self) -> bool:
        self.calls += 1
        self.when_called()
        return self.calls <= self.busy


class Process:
    """One process's slots, with a clock and an engine that the test controls."""

    def __init__(self, gateway: Gateway, memory: int = 2048, clock: SlotClock | None = None, busy: float = 0) -> None:
        self.clock = clock or SlotClock()
        self.engine = EngineServer(busy)
        engine = cast("EngineFactory", self.engine)
        server_slots = ProcessSlots(
            SlotStore(gateway.aws, gateway.settings, now=self.clock.now), sleep=self.clock.sleep
        )
        self.slots = Slots(server_slots, memory, engine, sleep=self._pause)

    async def _pause(self, seconds: float) -> None:
        self.clock.seconds += seconds
        await asyncio.sleep(0)


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
        async with self._slots.hold(job, destination(self._engine), max_wait_seconds=DEADLINE_SECONDS):
            self._running += 1
            self.max_running = max(self.max_running, self._running)
            await asyncio.sleep(0.01)
            self._running -= 1
            self.finished += 1


async def test_memory_that_a_job_does_not_need_is_given_back_when_its_inputs_are_read(gateway: Gateway) -> None:
    """Before, a job whose inputs are links is counted with the largest ones. Then others need not wait for it."""
    slots = Process(gateway).slots
    unread = [edit_job(number, inputs=["inputs/x/request.json"]) for number in range(2)]

    async with slots.hold(unread[0], destination("gemini"), max_wait_seconds=0.0) as memory:
        with pytest.raises(Busy):
            async with slots.hold(unread[1], destination("gemini"), max_wait_seconds=0.0):
                pass
        unread[0].input_bytes = 3_000_000
        memory.shrink(unread[0])
        async with slots.hold(unread[1], destination("gemini"), max_wait_seconds=0.0) as other:
            memory.shrink(unread[0])
            assert memory.size < 40_000_000 < other.size
    async with slots.hold(unread[1], destination("gemini"), max_wait_seconds=0.0):
        pass


@pytest.mark.parametrize(
    ("engine", "input_bytes", "max_running"),
    [("openai", 150_000_000, 2), ("gemini", 150_000_000, 1), ("openai", None, 3), ("openai", 1_000_000, 10)],
    ids=["two copies", "base64 in JSON", "size not known yet", "small"],
)
async def test_memory_limits_the_jobs_that_run_concurrently(
    gateway: Gateway, engine: str, input_bytes: int | None, max_running: int
) -> None:
    """Ten edits of one batch reserve what their engine's requests need, wait for each other, and all finish."""
    counter = ConcurrencyCounter(Process(gateway).slots, engine)
    batch = [edit_job(number, inputs=["inputs/x/0.png"], input_bytes=input_bytes) for number in range(10)]

    await asyncio.gather(*(counter.run(job) for job in batch))

    assert (counter.max_running, counter.finished) == (max_running, 10)


@pytest.mark.parametrize(
    ("url", "dialect", "copies"),
    [
        ("https://api.x.ai/v1", "auto", 5),
        ("https://openrouter.ai/api/v1", "auto", 5),
        ("https://a.example", "xai", 5),
        ("https://api.openai.com/v1", "auto", 2),
        ("https://openrouter.ai/api/v1", "plain", 2),
    ],
)
async def test_memory_depends_on_the_dialect(gateway: Gateway, url: str, dialect: "Dialect", copies: int) -> None:
    """Some servers take the images of edits as base64 in JSON."""
    fields = {"IMAGES_OPENAI_API_BASE_URL": url, "IMAGES_EDIT_OPENAI_API_BASE_URL": url}
    config = ImagesConfig().with_access(ServerAccess("one", dialect=dialect), fields)
    chosen = Destination(engine="openai", model=None, config=config, edit=True)
    image_bytes = 16 * 2**20

    async with Process(gateway).slots.hold(
        edit_job(1, inputs=["inputs/x/0.png"], input_bytes=10_000_000), chosen, max_wait_seconds=0.0
    ) as memory:
        assert memory.size == copies * 10_000_000 + image_bytes


async def test_a_job_that_needs_more_than_all_memory_runs_alone(gateway: Gateway) -> None:
    """A job is not refused because of its estimated memory."""
    counter = ConcurrencyCounter(Process(gateway, memory=128).slots, "gemini")

    await asyncio.gather(*(counter.run(edit_job(number, input_bytes=100_000_000)) for number in range(2)))

    assert (counter.max_running, counter.finished) == (1, 2)


@pytest.mark.parametrize("engine", ["openai", "automatic1111"])
async def test_waiting_ends_after_the_maximum_wait(gateway: Gateway, engine: str) -> None:
    """A job without memory or a slot fails as busy, and says when to try again."""
    slots = Process(gateway, memory=64).slots
    async with slots.hold(edit_job(1, input_bytes=10**9), destination(engine), max_wait_seconds=1):
        with pytest.raises(Busy) as refused:
            async with slots.hold(edit_job(2), destination(engine), max_wait_seconds=0):
                raise AssertionError("unreachable")

    assert refused.value.retry_after
    assert 5 <= refused.value.retry_after <= 12
    async with slots.hold(edit_job(3), destination(engine), max_wait_seconds=1):
        pass


async def test_a_slot_passes_to_the_next_job_of_the_process(gateway: Gateway) -> None:
    """An engine that runs one job at a time is never idle while a batch has jobs for it."""
    counter = ConcurrencyCounter(Process(gateway).slots, "automatic1111")

    await asyncio.gather(*(counter.run(edit_job(number)) for number in range(10)))

    assert (counter.max_running, counter.finished) == (1, 10)


async def test_workers_share_the_slot_of_an_engine(gateway: Gateway) -> None:
    """A second process does not get the slot that the first one holds, and does not wait for it."""
    first, second = Process(gateway).slots, Process(gateway).slots
    async with first.hold(edit_job(1), destination("automatic1111"), max_wait_seconds=DEADLINE_SECONDS):
        with pytest.raises(Busy):
            async with second.hold(edit_job(2), destination("automatic1111"), max_wait_seconds=DEADLINE_SECONDS):
                raise AssertionError("unreachable")


async def leave_dead_holder(gateway: Gateway, clock: SlotClock) -> None:
    """Let a process die that holds the server's slot, and let another one notice it."""
    server = f"automatic1111#{CONFIG.AUTOMATIC1111_BASE_URL}"
    dead = Holder("dead", "token:1", "0", clock.now(), clock.now(), 1, clock.now() + LEASE_SECONDS)
    await SlotStore(gateway.aws, gateway.settings, now=clock.now).take(server, 1, dead)
    clock.seconds += LEASE_SECONDS + 1
    with pytest.raises(Busy):
        async with Process(gateway, clock=clock).slots.hold(
            edit_job(1), destination("automatic1111"), max_wait_seconds=0
        ):
            raise AssertionError("unreachable")
    clock.seconds += PROBATION_SECONDS


@pytest.mark.parametrize(("busy", "calls"), [(0, 1), (4, 5), (-1, 0)], ids=["idle", "busy", "not configured"])
async def test_a_job_waits_until_the_server_has_ended_a_dead_holders_work(
    gateway: Gateway, busy: float, calls: int
) -> None:
    """Otherwise it would spend its time in the server's queue. The next job of the process need not call it again."""
    clock = SlotClock()
    await leave_dead_holder(gateway, clock)
    process = Process(gateway, clock=clock, busy=busy)

    async def run(number: int) -> None:
        async with process.slots.hold(
            edit_job(number), destination("automatic1111"), max_wait_seconds=DEADLINE_SECONDS
        ):
            pass

    await asyncio.gather(run(2), run(3))

    assert process.engine.calls == calls


async def test_a_server_that_stays_busy_delays_a_job_for_the_timeout_of_an_engine_at_most(gateway: Gateway) -> None:
    """After that, whatever the dead holder left has ended, and the server works for somebody else."""
    clock = SlotClock()
    await leave_dead_holder(gateway, clock)
    process = Process(gateway, clock=clock, busy=float("inf"))

    with controlled_time(asyncio.get_running_loop()) as loop_time:
        process.engine.when_called = lambda: loop_time.advance(25)
        async with process.slots.hold(edit_job(2), destination("automatic1111"), max_wait_seconds=600):
            pass

    assert 3 <= process.engine.calls <= 5
