"""Budgets and other limits, against moto's server."""

import asyncio
from decimal import Decimal

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import BudgetExceeded, LimitExceeded
from image_gateway.metering.ledger import Ledger
from image_gateway.metering.limit_store import LimitStore
from image_gateway.models.limits import Limits
from image_gateway.settings import Settings
from tests.unit.metering.conftest import Clock, Jobs
from tests.unit.metering.reservations import DOLLAR, SCOPE, budget, outcome, reserve, state_of

pytestmark = pytest.mark.anyio


async def test_as_many_of_thirty_requests_succeed_as_the_budget_has_money_for(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """From processes of their own, at the same time, and what is left is exact."""
    await limits.set_limits(SCOPE, budget("1.00"))
    processes = [Ledger(aws, settings, now=clock.now) for _ in range(30)]

    outcomes = await asyncio.gather(
        *(outcome(process, jobs, f"{number}", DOLLAR // 10) for number, process in enumerate(processes))
    )

    assert sorted(outcomes) == ["budget_exceeded"] * 20 + ["held"] * 10
    state = await state_of(limits)
    assert (state.remaining_usd, state.open_jobs) == (Decimal(0), 10)


async def test_a_refused_request_leaves_no_job_and_says_what_is_left_and_when_it_renews(
    aws: Aws, settings: Settings, ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """The error is permanent for this period, so that clients do not send it again."""
    await limits.set_limits(SCOPE, budget("0.05"))

    with pytest.raises(BudgetExceeded) as refused:
        await reserve(ledger, jobs, "a", DOLLAR // 10)

    assert refused.value.detail == (
        "The budget of this caller has 0.050000 of 0.050000 US dollars left, and the request needs 0.100000; "
        "it renews at 2026-12-01T00:00:00Z"
    )
    assert not refused.value.should_retry
    stored = await aws.call("dynamodb", "GetItem", TableName=settings.table, Key={"pk": {"S": "job#a"}})
    assert "Item" not in stored


async def test_a_budget_of_one_scope_holds_nothing_of_another_that_refuses(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """The token has money, the deployment has not: nothing is taken from either."""
    await limits.set_limits(SCOPE, budget("10"))
    await limits.set_limits("deployment", budget("0.01", "total"))

    with pytest.raises(BudgetExceeded, match=r"budget of the deployment .* it does not renew"):
        await reserve(ledger, jobs, "a", DOLLAR, (SCOPE, "deployment"))

    assert (await state_of(limits)).remaining_usd == Decimal(10)


async def test_a_job_that_exists_already_holds_nothing(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """The reasons of the other writes say so."""
    await limits.set_limits(SCOPE, budget("1"))
    await reserve(ledger, jobs, "a", 1000)

    reservation, reasons = await ledger.reserve([SCOPE], 1000, lambda _: [jobs.create("a")])

    assert (reservation, [*reasons]) == (None, ["ConditionalCheckFailed"])
    assert (await state_of(limits)).open_jobs == 1


async def test_a_settlement_returns_what_was_not_charged_once(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """However often it is tried."""
    await limits.set_limits(SCOPE, budget("1"))
    reservation = await reserve(ledger, jobs, "a", DOLLAR // 2)

    settled = [await ledger.settle(reservation, DOLLAR // 10, jobs.mark("a")) for _ in range(3)]

    assert settled == [True, False, False]
    state = await state_of(limits)
    assert (state.remaining_usd, state.open_jobs) == (Decimal("0.9"), 0)


async def test_more_than_was_held_can_be_charged(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """With prices by tokens: then nothing is left, and the next request is refused."""
    await limits.set_limits(SCOPE, budget("1"))
    reservation = await reserve(ledger, jobs, "a", DOLLAR)

    await ledger.settle(reservation, 3 * DOLLAR, jobs.mark("a"))

    assert (await state_of(limits)).remaining_usd == Decimal(0)
    assert await outcome(ledger, jobs, "b", 1) == "budget_exceeded"


async def test_open_jobs_are_limited_until_one_is_settled(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """Queued and running jobs count."""
    await limits.set_limits(SCOPE, Limits(max_jobs=1))
    first = await reserve(ledger, jobs, "a", 0)

    with pytest.raises(LimitExceeded, match="1 jobs that are queued or running") as refused:
        await reserve(ledger, jobs, "b", 0)
    assert refused.value.should_retry
    await ledger.settle(first, 0, jobs.mark("a"))
    assert await outcome(ledger, jobs, "c", 0) == "held"
