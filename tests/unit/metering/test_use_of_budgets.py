"""The use of 80 and 100 percent of a budget is reported once in a period."""

from decimal import Decimal

import pytest

from image_gateway.metering.ledger import Ledger
from image_gateway.metering.limit_store import LimitStore
from tests.unit.metering.conftest import Clock, Jobs
from tests.unit.metering.reservations import DOLLAR, SCOPE, budget, reserve

pytestmark = pytest.mark.anyio


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


async def test_a_use_whose_event_could_not_be_sent_is_reported_again(
    ledger: Ledger, limits: LimitStore, jobs: Jobs
) -> None:
    """The bus did not accept the event."""
    await limits.set_limits(SCOPE, budget("1"))
    await reserve(ledger, jobs, "a", 900_000)
    use = await limits.newly_used(SCOPE)
    assert use

    await limits.report_again(SCOPE, use)

    assert await limits.newly_used(SCOPE) == use


async def test_the_use_of_a_raised_budget_is_reported(ledger: Ledger, limits: LimitStore, jobs: Jobs) -> None:
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


async def test_a_job_that_settles_after_midnight_reports_the_budget_that_it_used(
    ledger: Ledger, limits: LimitStore, jobs: Jobs, clock: Clock
) -> None:
    """Nothing was accepted since, so the item is still that of yesterday."""
    await limits.set_limits(SCOPE, budget("1", "day"))
    await reserve(ledger, jobs, "a", 900_000)
    clock.seconds += 86_400

    use = await limits.newly_used(SCOPE)

    assert use
    assert (use.percent, use.remaining_usd) == (80, Decimal("0.1"))
