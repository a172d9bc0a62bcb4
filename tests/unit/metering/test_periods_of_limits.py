"""Budgets begin anew with their period, and rates with their minute, by clocks that differ."""

from decimal import Decimal

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import BudgetExceeded, LimitExceeded
from image_gateway.metering.ledger import Ledger
from image_gateway.metering.limit_store import LimitStore
from image_gateway.models.limits import Limits
from image_gateway.settings import Settings
from tests.counting_aws import CountingAws
from tests.unit.metering.conftest import DECEMBER_1, NOVEMBER_29, Clock, Jobs
from tests.unit.metering.reservations import DOLLAR, SCOPE, budget, outcome, reserve, state_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("period", "seconds", "renewed"),
    [("day", 43_199, False), ("day", 43_200, True), ("month", 2 * 86_400, True), ("total", 10**8, False)],
)
async def test_a_budget_renews_at_midnight_utc(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock, period: str, seconds: int, renewed: bool
) -> None:
    """The process has been running since before, and knows the old period."""
    await limits.set_limits(SCOPE, budget("1", period))
    await reserve(ledger, jobs, "a", DOLLAR)
    clock.seconds = NOVEMBER_29 + 43_200 + seconds

    assert await outcome(ledger, jobs, "b", DOLLAR) == ("held" if renewed else "budget_exceeded")


async def test_a_job_that_ends_in_the_next_period_returns_nothing_to_it(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """It was charged to the period in which it was accepted; its place among the open jobs is free."""
    await limits.set_limits(SCOPE, budget("1", "day"))
    old = await reserve(ledger, jobs, "a", DOLLAR)
    clock.seconds += 86_400
    await reserve(ledger, jobs, "b", DOLLAR // 4)

    assert await ledger.settle(old, 0, jobs.mark("a"))

    state = await state_of(limits)
    assert (state.remaining_usd, state.open_jobs) == (Decimal("0.75"), 1)


@pytest.mark.parametrize("kind", ["day", "month"])
async def test_a_period_never_goes_back(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs, kind: str
) -> None:
    """The clock of one process is some milliseconds behind that of another, and midnight is between them."""
    clock.seconds = DECEMBER_1 - 1
    await limits.set_limits(SCOPE, budget("1", kind))
    processes = [Ledger(aws, settings, now=lambda late=late: clock.now() - late) for late in (0, 0.005)]  # type: ignore[misc]
    for number, process in enumerate(processes):
        await reserve(process, jobs, f"before {number}", DOLLAR // 2)
    clock.seconds = DECEMBER_1 + 0.002

    outcomes = [await outcome(processes[number % 2], jobs, f"{number}", DOLLAR // 2) for number in range(6)]

    assert outcomes == ["held"] * 2 + ["budget_exceeded"] * 4


async def test_limits_that_are_changed_by_a_clock_that_is_late_stay_in_the_new_period(
    aws: Aws, settings: Settings, ledger: Ledger, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """What was spent since midnight stays spent."""
    clock.seconds = DECEMBER_1
    await limits.set_limits(SCOPE, budget("1", "day"))
    await reserve(ledger, jobs, "a", DOLLAR)

    await LimitStore(aws, settings, now=lambda: DECEMBER_1 - 0.005).set_limits(SCOPE, budget("2", "day"))

    assert (await state_of(limits)).remaining_usd == Decimal(1)


async def test_a_refusal_by_a_clock_that_is_late_says_when_the_new_period_ends(
    aws: Aws, settings: Settings, ledger: Ledger, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """And the minute."""
    clock.seconds = DECEMBER_1
    await limits.set_limits(SCOPE, budget("1", "day", requests_per_minute=1))
    await reserve(ledger, jobs, "a", DOLLAR // 2)
    late = Ledger(aws, settings, now=lambda: DECEMBER_1 - 0.005)

    with pytest.raises(BudgetExceeded, match="renews at 2026-12-02T00:00:00Z"):
        await reserve(late, jobs, "b", DOLLAR)
    with pytest.raises(LimitExceeded) as refused:
        await reserve(late, jobs, "c", 0)

    assert refused.value.retry_after == 61


async def test_a_minute_never_goes_back(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """As a period."""
    await limits.set_limits(SCOPE, Limits(requests_per_minute=2))
    processes = [Ledger(aws, settings, now=lambda late=late: clock.now() - late) for late in (0, 0.005)]  # type: ignore[misc]
    await outcome(processes[1], jobs, "before", 0)
    clock.seconds += 60.002

    outcomes = [await outcome(processes[number % 2], jobs, f"{number}", 0) for number in range(4)]

    assert outcomes == ["held"] * 2 + ["rate_limited"] * 2


async def test_without_a_rate_a_new_minute_costs_no_failed_write(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """Processes that have not seen each other's requests agree on everything but the minute."""
    await limits.set_limits(SCOPE, budget("1"))
    counting = CountingAws(aws)
    processes = [Ledger(counting, settings, now=clock.now) for _ in range(2)]

    for number in range(6):
        clock.seconds += 60
        await reserve(processes[number % 2], jobs, f"{number}", 0)

    assert counting.operations.count("TransactWriteItems") == 6


async def test_requests_of_a_minute_are_limited_until_the_next(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """The error says how long that is."""
    await limits.set_limits(SCOPE, Limits(requests_per_minute=2))
    clock.seconds += 20

    assert [await outcome(ledger, jobs, f"{number}", 0) for number in range(2)] == ["held", "held"]
    with pytest.raises(LimitExceeded, match="2 requests a minute") as refused:
        await reserve(ledger, jobs, "c", 0)
    assert (refused.value.code, refused.value.retry_after) == ("rate_limited", 40)
    clock.seconds += 40
    assert await outcome(ledger, jobs, "d", 0) == "held"
