"""Reservations of a scope's budget, as tests of the ledger make them."""

from typing import Any

from image_gateway.errors import GatewayError
from image_gateway.metering.ledger import Ledger, Reservation
from image_gateway.metering.limit_store import LimitStore
from image_gateway.models.limits import Limits, LimitState
from tests.unit.metering.conftest import Jobs

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
