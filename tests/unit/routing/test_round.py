"""One pass through the targets of a route, with what it tells the cooldown."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from image_gateway.errors import Canceled, EngineRejected, EngineUnavailable, GatewayError, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.models.routes import Route
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from image_gateway.routing.round import Round

if TYPE_CHECKING:
    from image_gateway.routing.cooldown import Cooldowns

pytestmark = pytest.mark.anyio

FREE = Route.model_validate({"targets": [{"connection": "one"}]}).fallback_on


@dataclass
class KnownCooldowns:
    """The cooldown as a test has it: targets that are left alone, and those that one request may try."""

    cooling: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def all(self) -> set[str]:
        return self.cooling | self.over

    async def may_try(self, key: str, _seconds: float) -> bool:
        self.calls.append(("may try", key))
        return key in self.over

    async def failed(self, key: str, _failure: str) -> None:
        self.calls.append(("failed", key))

    async def answered(self, key: str) -> None:
        self.calls.append(("answered", key))

    async def give_up(self, key: str) -> None:
        self.calls.append(("given up", key))


def destination(number: int, **fields: Any) -> Destination:
    name = ("one", "two", "three")[number]
    return Destination(
        engine="openai", model=None, config=ImagesConfig(), stored_connection=name, target=number, **fields
    )


def round_of(cooldowns: KnownCooldowns, *destinations: Destination) -> Round:
    chosen = destinations or tuple(destination(number) for number in range(3))
    return Round(Plan(destinations=chosen, route="r", fallback_on=FREE), chosen, cast("Cooldowns", cooldowns))


def names(destinations: list[Destination]) -> list[str]:
    return [each.connection for each in destinations]


def running_job() -> Job:
    return Job(id="j", kind="generation", owner="token:1", route="r", status="running")


async def attempt(round_: Round, job: Job, error: GatewayError | None) -> bool:
    """Try the best target, with this outcome; return whether another one may be tried."""
    chosen = (await round_.usable())[0]
    await round_.start(chosen)
    return await round_.end(job, chosen, error, 0.5)


async def test_targets_that_are_left_alone_are_passed_over() -> None:
    """The job has that in its attempts, and a warning."""
    round_, job = round_of(KnownCooldowns(cooling={"one"})), running_job()

    assert names(await round_.usable()) == ["two", "three"]
    await attempt(round_, job, None)
    await round_.close(job, None)

    assert [(each.connection, each.code) for each in job.tried] == [("one", "cooling"), ("two", "")]
    assert job.warnings == ["one was passed over: cooling"]


async def test_if_all_targets_are_left_alone_they_are_tried_in_order() -> None:
    """Each of them, as far as needed."""
    round_, job = round_of(KnownCooldowns(cooling={"one", "two", "three"})), running_job()

    assert names(await round_.usable()) == ["one", "two", "three"]
    assert await attempt(round_, job, EngineUnavailable("x", failure="unavailable"))
    assert names(await round_.usable()) == ["two", "three"]


async def test_only_the_best_target_is_tried_after_its_cooldown() -> None:
    """Another one would be tried in vain."""
    cooldowns = KnownCooldowns(over={"two"})

    assert names(await round_of(cooldowns).usable()) == ["one", "three"]
    assert cooldowns.calls == []
    assert names(await round_of(KnownCooldowns(over={"one"})).usable()) == ["one", "two", "three"]


async def test_a_target_that_may_be_tried_and_is_not_is_given_up() -> None:
    """Its server had no slot, say."""
    cooldowns = KnownCooldowns(over={"one"})
    round_ = round_of(cooldowns)

    await round_.start((await round_.usable())[1])

    assert cooldowns.calls == [("may try", "one"), ("given up", "one")]


async def test_a_target_whose_attempt_does_not_take_place_is_given_up() -> None:
    """The job could not be stored, say. Once a target has answered, there is nothing to give up."""
    cooldowns = KnownCooldowns(over={"one"})
    round_ = round_of(cooldowns)
    await round_.start((await round_.usable())[0])

    await round_.give_up()

    assert cooldowns.calls == [("may try", "one"), ("given up", "one")]
    answered = round_of(other := KnownCooldowns(over={"one"}))
    await attempt(answered, running_job(), None)
    await answered.give_up()
    assert other.calls == [("may try", "one"), ("answered", "one")]


async def test_targets_that_are_left_alone_are_tried_beside_one_that_cannot_be_used() -> None:
    """All that can be used are left alone, so they are tried in order."""
    broken = destination(0, problem=NotConfigured("There is no connection one"))
    round_ = round_of(KnownCooldowns(cooling={"two", "three"}), broken, destination(1), destination(2))

    assert names(await round_.usable()) == ["two", "three"]


@pytest.mark.parametrize(
    ("error", "call", "goes_on"),
    [
        (None, "answered", False),
        (EngineUnavailable("x", failure="unavailable"), "failed", True),
        (EngineRejected("x"), "answered", False),
        (EngineRejected("x", failure="unsupported"), "given up", True),
        (EngineUnavailable("x", may_have_cost=True), "given up", False),
        (Canceled("x"), "given up", False),
    ],
    ids=["success", "failure", "refusal", "unsupported", "costly failure", "canceled"],
)
async def test_what_an_outcome_says_about_a_target(error: GatewayError | None, call: str, *, goes_on: bool) -> None:
    """An answer ends its cooldown, a failure counts, and anything else leaves it to the next request."""
    cooldowns = KnownCooldowns(over={"one"})

    assert await attempt(round_of(cooldowns), running_job(), error) is goes_on

    assert cooldowns.calls[-1] == (call, "one")


async def test_a_target_that_cannot_be_used_is_an_attempt_that_failed() -> None:
    """It is not called."""
    broken = destination(0, problem=NotConfigured("There is no connection one"))
    round_, job = round_of(KnownCooldowns(), broken, destination(1)), running_job()

    assert not await attempt(round_, job, EngineUnavailable("refused", failure="unreachable"))
    error = await round_.close(job, EngineUnavailable("refused", failure="unreachable"))

    assert error
    assert error.detail == "There is no connection one (attempts: one: not_configured; two: engine_unavailable)"
    assert [each.milliseconds for each in job.tried] == [0, 500]


async def test_nothing_is_repeated_while_another_target_is_left() -> None:
    """The last one may be called again."""
    round_ = round_of(KnownCooldowns(), destination(0), destination(1))

    assert [each.repeats for each in await round_.usable()] == [False, False]
    await attempt(round_, running_job(), EngineUnavailable("x", failure="unavailable"))

    assert [each.repeats for each in await round_.usable()] == [True]


async def test_an_error_that_may_have_cost_is_remembered() -> None:
    """Also if the last target's failure was free: the job must not be repeated."""
    chosen = (destination(0), destination(1))
    round_ = Round(Plan(destinations=chosen, route="r", fallback_on=("failed", "unavailable")), chosen)
    job = running_job()
    free = EngineUnavailable("x", failure="unavailable")

    assert await attempt(round_, job, EngineUnavailable("broken", may_have_cost=True))
    assert not await attempt(round_, job, free)
    error = await round_.close(job, free)

    assert error
    assert (error.may_have_cost, error.should_retry) == (True, False)
    assert error.detail.startswith("broken")
