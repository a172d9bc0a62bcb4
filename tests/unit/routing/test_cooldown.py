"""Targets that fail repeatedly are left alone by all processes of a deployment, for a while."""

import pytest

from image_gateway.aws import Aws
from image_gateway.routing.cooldown import COOLING_SECONDS, FAILURES, WINDOW_SECONDS, Cooldowns
from image_gateway.settings import Settings
from tests.counting_aws import CountingAws

pytestmark = pytest.mark.anyio

KEY = "azure-eu/gpt-image-2"


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Processes:
    """Processes of one deployment, each with its own knowledge."""

    def __init__(self, aws: Aws, settings: Settings, clock: Clock) -> None:
        self.aws = CountingAws(aws)
        self.one, self.two = (Cooldowns(self.aws, settings, now=clock) for _ in range(2))

    async def fail(self, times: int = FAILURES, key: str = KEY) -> None:
        for _ in range(times):
            await self.one.failed(key, "unavailable")


@pytest.fixture
def processes(aws: Aws, settings: Settings, clock: Clock) -> Processes:
    return Processes(aws, settings, clock)


async def test_three_failures_within_a_minute_start_a_cooldown(processes: Processes, clock: Clock) -> None:
    """Every process that reads the item knows it, and why."""
    await processes.fail(FAILURES - 1)
    assert not processes.one.is_cooling(KEY)
    clock.seconds += WINDOW_SECONDS - 1
    await processes.fail(1)
    await processes.two.read(0)

    assert processes.one.is_cooling(KEY)
    assert processes.two.is_cooling(KEY)
    cooling = processes.two.all()[KEY]
    assert (cooling.reason, cooling.until) == ("unavailable", clock.seconds + COOLING_SECONDS)


async def test_failures_that_are_far_apart_start_none(processes: Processes, clock: Clock) -> None:
    """However many there are: old ones are removed from the item."""
    for _ in range(30):
        await processes.fail(1)
        clock.seconds += WINDOW_SECONDS / 2 + 1

    assert not processes.one.is_cooling(KEY)


async def test_other_targets_are_used(processes: Processes) -> None:
    """Another model of the same connection is another target."""
    await processes.fail()

    assert not processes.one.is_cooling("azure-eu/gpt-image-2-mini")
    assert not processes.one.is_cooling("azure-eu")


async def test_after_a_cooldown_one_request_tries_the_target(processes: Processes, clock: Clock) -> None:
    """All others leave it alone until that one knows more."""
    await processes.fail()
    await processes.two.read(0)
    clock.seconds += COOLING_SECONDS + 1

    assert await processes.one.may_try(KEY, 60)
    assert not await processes.two.may_try(KEY, 60)
    assert not await processes.one.may_try(KEY, 60)


async def test_an_answer_ends_a_cooldown(processes: Processes, clock: Clock) -> None:
    """For all processes, and the failures before it do not count any more."""
    await processes.fail()
    clock.seconds += COOLING_SECONDS + 1
    assert await processes.one.may_try(KEY, 60)
    await processes.one.answered(KEY)
    await processes.two.read(0)
    await processes.fail(FAILURES - 1)

    assert KEY not in processes.two.all()
    assert not processes.one.is_cooling(KEY)


async def test_a_failure_after_a_cooldown_starts_the_next_one(processes: Processes, clock: Clock) -> None:
    """It is the only one that is needed."""
    await processes.fail()
    clock.seconds += COOLING_SECONDS + 1
    assert await processes.one.may_try(KEY, 60)
    await processes.fail(1)

    assert processes.one.all()[KEY].until == clock.seconds + COOLING_SECONDS
    clock.seconds += COOLING_SECONDS + 1
    assert await processes.one.may_try(KEY, 60)


async def test_a_request_that_does_not_come_back_is_replaced(processes: Processes, clock: Clock) -> None:
    """Its process may have died."""
    await processes.fail()
    await processes.two.read(0)
    clock.seconds += COOLING_SECONDS + 1
    assert await processes.one.may_try(KEY, 60)
    clock.seconds += 61

    assert await processes.two.may_try(KEY, 60)


async def test_a_target_that_is_not_tried_after_all_is_free_for_others(processes: Processes, clock: Clock) -> None:
    """The request found another target."""
    await processes.fail()
    await processes.two.read(0)
    clock.seconds += COOLING_SECONDS + 1
    assert await processes.one.may_try(KEY, 60)
    await processes.one.give_up(KEY)

    assert await processes.two.may_try(KEY, 60)


async def test_what_is_known_is_read_again_only_when_it_is_old(processes: Processes, clock: Clock) -> None:
    """Requests at the same moment read it once."""
    await processes.one.read(5)
    clock.seconds += 4
    await processes.one.read(5)
    assert processes.aws.calls["GetItem"] == 1
    clock.seconds += 2
    await processes.one.read(5)

    assert processes.aws.calls["GetItem"] == 2


async def test_a_target_that_works_costs_no_write(processes: Processes) -> None:
    """Only failures and their end are written."""
    assert await processes.one.may_try(KEY, 60)
    await processes.one.answered(KEY)

    assert processes.aws.calls["UpdateItem"] == 0


async def test_a_silent_table_stops_no_request(settings: Settings, aws: Aws, clock: Clock) -> None:
    """Targets are used as the process knows them."""
    cooldowns = Cooldowns(aws, settings.model_copy(update={"table": "missing"}), now=clock)

    await cooldowns.read(0)
    await cooldowns.failed(KEY, "unavailable")
    await cooldowns.answered(KEY)

    assert await cooldowns.may_try(KEY, 60)
    assert not cooldowns.is_cooling(KEY)
