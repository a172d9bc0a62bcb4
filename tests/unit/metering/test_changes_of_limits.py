"""Limits that are changed or removed while jobs are open."""

import asyncio
from decimal import Decimal
from functools import partial

import pytest

from image_gateway.aws import Aws
from image_gateway.metering.ledger import Ledger
from image_gateway.metering.limit_store import LimitStore
from image_gateway.models.limits import Limits
from image_gateway.settings import Settings
from tests.unit.metering.conftest import Clock, Jobs
from tests.unit.metering.reservations import DOLLAR, SCOPE, budget, outcome, reserve, state_of

pytestmark = pytest.mark.anyio


async def test_a_changed_limit_holds_at_once_and_what_was_spent_stays_spent(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """Also in processes that knew the old one."""
    await limits.set_limits(SCOPE, budget("1"))
    await reserve(ledger, jobs, "a", DOLLAR // 2)

    await limits.set_limits(SCOPE, budget("0.6"))
    assert await outcome(ledger, jobs, "b", DOLLAR // 5) == "budget_exceeded"
    await limits.set_limits(SCOPE, budget("2"))

    assert await outcome(ledger, jobs, "c", DOLLAR) == "held"
    state = await state_of(limits)
    assert (state.remaining_usd, state.open_jobs) == (Decimal("0.5"), 2)


async def test_another_kind_of_period_knows_what_was_spent_in_it(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """A process that knows the old period learns the new one from its refused write."""
    await limits.set_limits(SCOPE, budget("1", "month"))
    await reserve(ledger, jobs, "a", DOLLAR)
    clock.seconds += 86_400
    await limits.set_limits(SCOPE, budget("3", "month"))
    await reserve(ledger, jobs, "b", DOLLAR)

    for kind, usd, left in (("day", "1", 0), ("total", "3", 1), ("month", "2", 0), ("day", "4", 3)):
        await limits.set_limits(SCOPE, budget(usd, kind))
        assert (await state_of(limits)).remaining_usd == Decimal(left), kind
        assert await outcome(ledger, jobs, f"too much {kind}", left * DOLLAR + 1) == "budget_exceeded"


async def test_changing_the_kind_of_period_and_back_hands_out_no_second_budget(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """Nor does removing the budget and setting it again; what is spent without one counts."""
    await limits.set_limits(SCOPE, budget("1", "day"))
    await reserve(ledger, jobs, "a", DOLLAR // 2)

    await limits.set_limits(SCOPE, budget("1", "month"))
    await limits.set_limits(SCOPE, Limits())
    await reserve(ledger, jobs, "b", DOLLAR // 4)
    await limits.set_limits(SCOPE, budget("1", "day"))

    assert (await state_of(limits)).remaining_usd == Decimal("0.25")


async def test_a_job_is_refunded_after_the_kind_of_period_has_changed(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """In each period that it was charged to and that has not ended."""
    await limits.set_limits(SCOPE, budget("2", "day"))
    reservation = await reserve(ledger, jobs, "a", DOLLAR)
    clock.seconds += 86_400
    await limits.set_limits(SCOPE, budget("2", "month"))
    await reserve(ledger, jobs, "b", DOLLAR)

    await ledger.settle(reservation, DOLLAR // 4, jobs.mark("a"))

    assert (await state_of(limits)).remaining_usd == Decimal("0.75")
    await limits.set_limits(SCOPE, budget("2", "day"))
    assert (await state_of(limits)).remaining_usd == Decimal(1)


async def test_a_limit_that_is_lowered_below_what_is_held_refuses_until_enough_is_given_back(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """Nothing is forgotten of what the limit does not cover."""
    await limits.set_limits(SCOPE, budget("2"))
    reservation = await reserve(ledger, jobs, "a", 2 * DOLLAR)

    await limits.set_limits(SCOPE, budget("1"))
    assert await outcome(ledger, jobs, "b", 1) == "budget_exceeded"
    await ledger.settle(reservation, DOLLAR // 2, jobs.mark("a"))

    assert (await state_of(limits)).remaining_usd == Decimal("0.5")
    assert await outcome(ledger, jobs, "c", DOLLAR // 2) == "held"


async def test_two_changes_of_different_limits_at_the_same_time_are_both_made(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """The second one is repeated with what the first one has stored."""
    await limits.set_limits(SCOPE, budget("1", max_jobs=1))
    changes = [{"max_jobs": 5}, {"requests_per_minute": 7}, {"budget": {"usd": "2", "period": "day"}}]

    await asyncio.gather(
        *(limits.change(SCOPE, partial(Limits.after, changes=Limits.model_validate(each))) for each in changes)
    )

    state = await state_of(limits)
    assert state.budget
    assert (state.max_jobs, state.requests_per_minute, state.budget.period) == (5, 7, "day")


async def test_limits_change_while_jobs_are_created(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """Raised and lowered under load, what is left is the last limit minus what is held."""
    await limits.set_limits(SCOPE, budget("5"))
    processes = [Ledger(aws, settings, now=clock.now) for _ in range(5)]

    async def change() -> None:
        for usd in ("2", "7", "1", "6"):
            await limits.set_limits(SCOPE, budget(usd))

    outcomes, _ = await asyncio.gather(
        asyncio.gather(*(outcome(processes[number % 5], jobs, f"{number}", DOLLAR // 10) for number in range(25))),
        change(),
    )

    held = outcomes.count("held")
    assert set(outcomes) <= {"held", "budget_exceeded"}
    assert (await state_of(limits)).remaining_usd == Decimal(6) - Decimal(held) / 10


async def test_a_scope_without_limits_holds_nothing(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """And limits that are set later hold for a process that has seen none."""
    assert (await reserve(ledger, jobs, "a", DOLLAR, ("deployment",))).periods == {}

    await limits.set_limits("deployment", budget("0"))

    assert await outcome(ledger, jobs, "b", 1, "deployment") == "budget_exceeded"


async def test_a_token_whose_limits_were_removed_is_revoked(
    aws: Aws, settings: Settings, ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """A process that has it in its cache would let it spend without any limit otherwise."""
    await limits.set_limits(SCOPE, budget("1"))
    await reserve(ledger, jobs, "a", 1)
    await limits.remove(SCOPE)

    outcomes = [await outcome(process, jobs, "b", 1) for process in (ledger, Ledger(aws, settings, now=clock.now))]

    assert outcomes == ["unauthorized"] * 2


async def test_jobs_of_a_scope_that_was_removed_and_has_limits_again_are_no_part_of_them(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """There are never fewer than no open jobs, and nothing is given back that was not held."""
    await limits.set_limits(SCOPE, budget("1"))
    old = await reserve(ledger, jobs, "a", DOLLAR)
    await limits.remove(SCOPE)
    await limits.set_limits(SCOPE, budget("1"))
    new = await reserve(ledger, jobs, "b", DOLLAR // 2)

    assert await ledger.settle(old, 0, jobs.mark("a"))
    state = await state_of(limits)
    assert (state.remaining_usd, state.open_jobs) == (Decimal("0.5"), 1)
    assert await ledger.settle(new, 0, jobs.mark("b"))
    assert (await state_of(limits)).remaining_usd == Decimal(1)


async def test_jobs_of_a_removed_scope_are_settled(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """Its token was revoked while they ran; other scopes get their money back."""
    await limits.set_limits(SCOPE, budget("1"))
    await limits.set_limits("deployment", budget("1"))
    reservation = await reserve(ledger, jobs, "a", DOLLAR, (SCOPE, "deployment"))

    await limits.remove(SCOPE)

    assert await ledger.settle(reservation, 0, jobs.mark("a"))
    assert await limits.state(SCOPE) is None
    assert (await state_of(limits, "deployment")).remaining_usd == Decimal(1)
