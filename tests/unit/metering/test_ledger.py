"""Budgets and other limits, against moto's server."""

import asyncio
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import BudgetExceeded, GatewayError, LimitExceeded
from image_gateway.metering.ledger import Ledger, Reservation
from image_gateway.metering.limit_store import LimitStore
from image_gateway.models.limits import Limits, LimitState
from image_gateway.settings import Settings
from tests.unit.metering.conftest import DECEMBER_1, NOVEMBER_29, Clock, CountingAws, Jobs

pytestmark = pytest.mark.anyio

SCOPE = "token:1"
DOLLAR = 1_000_000


def budget(usd: str, period: str = "month", **others: Any) -> Limits:
    """Return limits with a budget."""
    return Limits.model_validate({"budget": {"usd": usd, "period": period}, **others})


async def state_of(limits: LimitStore, scope: str = SCOPE) -> LimitState:
    state = await limits.state(scope)
    assert state is not None
    return state


async def reserve(
    ledger: Ledger, jobs: Jobs, job_id: str, micros: int, scopes: tuple[str, ...] = (SCOPE,)
) -> Reservation:
    """Create a job with a reservation."""
    reservation, reasons = await ledger.reserve(scopes, micros, lambda _: [jobs.create(job_id)])
    assert reservation is not None, reasons
    return reservation


async def outcome(ledger: Ledger, jobs: Jobs, job_id: str, micros: int, *scopes: str) -> str:
    """Return the code of the error, or `held`."""
    try:
        await reserve(ledger, jobs, job_id, micros, scopes or (SCOPE,))
    except GatewayError as error:
        return error.code
    return "held"


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
    """The error is permanent for this period, so that clients do not ask again."""
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


async def test_open_jobs_are_limited_until_one_is_settled(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """Queued and running jobs count."""
    await limits.set_limits(SCOPE, Limits(max_jobs=1))
    first = await reserve(ledger, jobs, "a", 0)

    with pytest.raises(LimitExceeded, match="1 jobs that are queued or running") as refused:
        await reserve(ledger, jobs, "b", 0)
    assert refused.value.should_retry
    await ledger.settle(first, 0, jobs.mark("a"))
    assert await outcome(ledger, jobs, "c", 0) == "held"


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


async def test_a_warning_mark_is_set_once_a_period(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """At 80 and at 100 percent of the budget, and again in the next period."""
    await limits.set_limits(SCOPE, budget("1", "day"))

    async def spend(name: str, micros: int) -> int | None:
        await reserve(ledger, jobs, name, micros)
        use = await limits.newly_used(SCOPE)
        return use.percent if use else None

    assert await spend("a", 790_000) is None
    assert await spend("b", 20_000) == 80
    assert await spend("c", 20_000) is None
    assert await spend("d", 170_000) == 100
    assert await limits.newly_used(SCOPE) is None
    clock.seconds += 86_400
    assert await spend("e", DOLLAR) == 100


async def test_a_use_that_nobody_could_be_told_is_news_again(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """The bus did not accept the event."""
    await limits.set_limits(SCOPE, budget("1"))
    await reserve(ledger, jobs, "a", 900_000)
    use = await limits.newly_used(SCOPE)
    assert use

    await limits.report_again(SCOPE, use)

    assert await limits.newly_used(SCOPE) == use


async def test_the_use_of_a_raised_budget_is_news(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """Another limit of the same scope changes nothing about it."""
    await limits.set_limits(SCOPE, budget("1"))
    await reserve(ledger, jobs, "a", DOLLAR)
    assert await limits.newly_used(SCOPE)

    await limits.set_limits(SCOPE, budget("1", max_jobs=5))
    assert await limits.newly_used(SCOPE) is None
    await limits.set_limits(SCOPE, budget("1.10"))

    use = await limits.newly_used(SCOPE)
    assert use
    assert (use.percent, use.remaining_usd) == (80, Decimal("0.1"))


async def test_a_job_that_settles_after_midnight_tells_of_the_budget_that_it_used(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """Nothing was accepted since, so the item is still that of yesterday."""
    await limits.set_limits(SCOPE, budget("1", "day"))
    await reserve(ledger, jobs, "a", 900_000)
    clock.seconds += 86_400

    use = await limits.newly_used(SCOPE)

    assert use
    assert (use.percent, use.remaining_usd) == (80, Decimal("0.1"))
