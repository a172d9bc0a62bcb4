"""Budgets that a token gives to each of its end users, against moto's server."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import BudgetExceeded
from image_gateway.metering.ledger import Ledger
from image_gateway.metering.limit_item import limits_key
from image_gateway.metering.limit_store import LimitStore
from image_gateway.metering.scopes import end_user_scope
from image_gateway.models.limits import Limits
from image_gateway.settings import Settings
from tests.counting_aws import CountingAws
from tests.unit.metering.conftest import DECEMBER_1, Clock, Jobs
from tests.unit.metering.reservations import outcome, reserve

pytestmark = pytest.mark.anyio

TOKEN = "token:1"
CENT = 10_000


def scope(label: str = "alice", token: str = TOKEN) -> str:
    return end_user_scope(token, label)


def gives(usd: str | None, period: str = "month", **others: Any) -> Limits:
    """Return the limits of a token that gives its end users a budget."""
    budget = None if usd is None else {"usd": usd, "period": period}
    return Limits.model_validate({"end_user_budget": budget, **others})


async def spent(limits: LimitStore, label: str = "alice") -> Decimal | None:
    """Return what an end user's item says is left of the budget that it has last had."""
    state = await limits.state(scope(label))
    return state.remaining_usd if state else None


async def hold(ledger: Ledger, jobs: Jobs, job_id: str, micros: int, label: str = "alice") -> str:
    """Return the code of the error of an end user's request, or `held`."""
    return await outcome(ledger, jobs, job_id, micros, TOKEN, scope(label))


async def test_each_end_user_has_a_budget_of_its_own(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """And the token none, unless it has one."""
    await limits.set_limits(TOKEN, gives("0.05"))

    outcomes = [await hold(ledger, jobs, f"{n}", 2 * CENT, label) for n, label in enumerate(["a", "a", "b", "a", "b"])]

    assert outcomes == ["held", "held", "held", "budget_exceeded", "held"]
    assert (await spent(limits, "a"), await spent(limits, "b")) == (Decimal("0.01"), Decimal("0.01"))


async def test_the_first_requests_of_an_end_user_at_the_same_time_share_one_budget(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """From processes that all see nothing of it yet."""
    await limits.set_limits(TOKEN, gives("0.05"))
    processes = [Ledger(aws, settings, now=clock.now) for _ in range(20)]

    outcomes = await asyncio.gather(*(hold(process, jobs, f"{n}", CENT) for n, process in enumerate(processes)))

    assert sorted(outcomes) == ["budget_exceeded"] * 15 + ["held"] * 5
    assert await spent(limits) == 0


async def test_many_new_end_users_at_the_same_time_get_a_budget_each(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """Of the token's own budget, no more is spent than there is."""
    await limits.set_limits(TOKEN, gives("0.01", budget={"usd": "0.40", "period": "month"}))
    processes = [Ledger(aws, settings, now=clock.now) for _ in range(50)]

    outcomes = await asyncio.gather(
        *(hold(process, jobs, f"{n}", CENT, f"user-{n}") for n, process in enumerate(processes))
    )

    assert sorted(outcomes) == ["budget_exceeded"] * 10 + ["held"] * 40


async def test_a_refusal_names_the_end_user(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """And nothing is held of the token's budget."""
    await limits.set_limits(TOKEN, gives("0.01", "day", budget={"usd": "1", "period": "month"}))

    with pytest.raises(BudgetExceeded) as refused:
        await reserve(ledger, jobs, "a", 2 * CENT, (TOKEN, scope()))

    assert refused.value.detail == (
        "The budget of this end user has 0.010000 of 0.010000 US dollars left, and the request needs 0.020000; "
        "it renews at 2026-11-30T00:00:00Z"
    )
    state = await limits.state(TOKEN)
    assert state is not None
    assert (state.remaining_usd, state.open_jobs) == (Decimal(1), 0)


async def test_a_changed_budget_holds_at_once_for_those_who_are_there(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """In every process, and what was spent stays spent, whatever the period is."""
    process, other = (Ledger(aws, settings, now=clock.now) for _ in range(2))
    await limits.set_limits(TOKEN, gives("0.02"))
    assert [await hold(process, jobs, f"{n}", CENT) for n in range(3)] == ["held", "held", "budget_exceeded"]
    assert await hold(other, jobs, "other", CENT, "bob") == "held"

    await limits.set_limits(TOKEN, gives("0.03"))
    raised = [await hold(each, jobs, f"raised-{n}", CENT) for n, each in enumerate((process, other))]
    await limits.set_limits(TOKEN, gives("0.01"))
    lowered = [await hold(other, jobs, "lowered", CENT, "bob"), await hold(process, jobs, "lowered", CENT)]
    await limits.set_limits(TOKEN, gives("0.05", "day"))
    daily = [await hold(process, jobs, f"daily-{n}", 2 * CENT) for n in range(2)]

    assert raised == ["held", "budget_exceeded"]
    assert lowered == ["budget_exceeded", "budget_exceeded"]
    assert daily == ["held", "budget_exceeded"]


async def test_a_budget_that_is_taken_away_and_given_again_knows_what_was_spent(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """As far as it was spent under a budget: without one, end users are not counted."""
    await limits.set_limits(TOKEN, gives("0.02"))
    assert await hold(ledger, jobs, "a", CENT) == "held"
    await limits.set_limits(TOKEN, gives(None))
    assert await hold(ledger, jobs, "b", 100 * CENT) == "held"
    await limits.set_limits(TOKEN, gives("0.02"))

    assert await hold(ledger, jobs, "c", 2 * CENT) == "budget_exceeded"
    assert await hold(ledger, jobs, "d", CENT) == "held"


async def test_a_request_without_an_end_user_counts_for_the_token_only(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """Nobody's budget refuses it."""
    await limits.set_limits(TOKEN, gives("0.01", budget={"usd": "0.05", "period": "day"}))

    assert await outcome(ledger, jobs, "a", 5 * CENT, TOKEN) == "held"
    assert await hold(ledger, jobs, "b", CENT) == "budget_exceeded"


async def test_two_tokens_give_the_same_end_user_a_budget_each(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """The label is the same."""
    for token in (TOKEN, "token:2"):
        await limits.set_limits(token, gives("0.01"))

    outcomes = [
        await outcome(ledger, jobs, f"{n}", CENT, token, scope("alice", token))
        for n, token in enumerate((TOKEN, "token:2", TOKEN))
    ]

    assert outcomes == ["held", "held", "budget_exceeded"]


@pytest.mark.parametrize("label", ["deployment", "token:1", "2:alice", "#", "end-user:1:a"])
async def test_an_end_user_who_is_called_like_a_scope_is_an_end_user(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, label: str
) -> None:
    """Its budget is neither the token's nor the deployment's nor somebody else's."""
    await limits.set_limits("deployment", Limits.model_validate({"budget": {"usd": "1", "period": "day"}}))
    await limits.set_limits(TOKEN, gives("0.01"))
    scopes = (TOKEN, scope(label), "deployment")

    assert await outcome(ledger, jobs, "a", CENT, *scopes) == "held"
    assert await outcome(ledger, jobs, "b", CENT, *scopes) == "budget_exceeded"
    assert await hold(ledger, jobs, "c", CENT, "alice") == "held"


async def test_a_settlement_gives_back_what_was_not_charged(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """Once, in both scopes; and nothing in the next month."""
    await limits.set_limits(TOKEN, gives("0.05"))
    reservation = await reserve(ledger, jobs, "a", 5 * CENT, (TOKEN, scope()))

    assert await ledger.settle(reservation, CENT, jobs.mark("a"))
    assert not await ledger.settle(reservation, CENT, jobs.mark("a"))

    assert await spent(limits) == Decimal("0.04")
    assert await hold(ledger, jobs, "b", 4 * CENT) == "held"


async def test_a_budget_renews_at_midnight_utc(ledger: Ledger, limits: LimitStore, clock: Clock, jobs: Jobs) -> None:
    """For each end user at its next request."""
    await limits.set_limits(TOKEN, gives("0.01"))
    assert await hold(ledger, jobs, "a", CENT) == "held"
    clock.seconds = DECEMBER_1 - 1
    assert await hold(ledger, jobs, "b", CENT) == "budget_exceeded"
    clock.seconds = DECEMBER_1

    assert [await hold(ledger, jobs, job_id, CENT) for job_id in "cd"] == ["held", "budget_exceeded"]


async def test_an_end_user_who_was_forgotten_starts_from_zero(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
    """Jobs from before are settled without it."""
    await limits.set_limits(TOKEN, gives("0.02"))
    reservation = await reserve(ledger, jobs, "a", CENT, (TOKEN, scope()))
    await limits.remove(scope())
    assert await hold(ledger, jobs, "b", CENT) == "held"

    assert await ledger.settle(reservation, 0, jobs.mark("a"))

    assert await spent(limits) == Decimal("0.01")


async def test_requests_of_an_end_user_whom_a_process_knows_read_nothing(
    aws: Aws, settings: Settings, limits: LimitStore, clock: Clock, jobs: Jobs
) -> None:
    """One transaction each. Without a budget for end users, their items are never read."""
    counting = CountingAws(aws)
    ledger = Ledger(counting, settings, now=clock.now)
    await limits.set_limits(TOKEN, gives("1"))
    assert [await hold(ledger, jobs, f"{n}", CENT) for n in range(2)] == ["held"] * 2
    assert counting.operations == ["GetItem", "GetItem", "TransactWriteItems", "TransactWriteItems"]
    await limits.set_limits(TOKEN, gives(None, max_jobs=10))
    counting.operations.clear()

    assert [await hold(Ledger(counting, settings, now=clock.now), jobs, f"new-{n}", CENT) for n in range(2)]

    assert counting.operations == ["GetItem", "TransactWriteItems"] * 2


@pytest.mark.parametrize(("period", "kept"), [("day", 400 * 86_400), ("month", 400 * 86_400), ("total", None)])
async def test_an_item_is_found_by_its_label_and_expires_unless_its_budget_never_renews(
    aws: Aws, settings: Settings, ledger: Ledger, limits: LimitStore, clock: Clock, jobs: Jobs, period: str, kept: Any
) -> None:
    """From its first request and from later ones."""
    await limits.set_limits(TOKEN, gives("1", period))
    for job_id in "ab":
        await hold(ledger, jobs, job_id, CENT)

        item = (await aws.call("dynamodb", "GetItem", TableName=settings.table, Key=limits_key(scope())))["Item"]
        expires = int(item["expires_at"]["N"])
        assert item["end_user"] == {"S": "alice"}
        assert expires == int(clock.seconds) + kept if kept else expires > 250_000_000_000
