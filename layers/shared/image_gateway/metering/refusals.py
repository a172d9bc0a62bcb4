"""Why a limit refuses a request, in words for its caller."""

import math

from image_gateway.errors import BudgetExceeded, LimitExceeded
from image_gateway.metering.limit_item import LimitItem
from image_gateway.metering.periods import period_end
from image_gateway.metering.scopes import DEPLOYMENT, is_end_user
from image_gateway.models.money import format_usd, from_micros

_MINUTE_SECONDS = 60
_SECONDS_UNTIL_A_JOB_ENDS = 5.0
"""Nobody knows when one of the open jobs ends: a client may ask again after this time."""


def require_allowed(scope: str, item: LimitItem, micros: int, moment: float, *, only_budgets: bool = False) -> None:
    """Raise the error of the first limit that refuses a request; none does if another write has only come between.

    Args:
        scope: whose limits they are.
        item: the limits as they are stored.
        micros: what would be held for the request, in millionths of a dollar.
        moment: the time in seconds since 1970.
        only_budgets: whether other limits than the budget do not count.

    Raises:
        BudgetExceeded: the budget has not enough left.
        LimitExceeded: too many requests in this minute, or too many open jobs.
    """
    now = item.at(moment)
    whose = "the deployment" if scope == DEPLOYMENT else "this end user" if is_end_user(scope) else "this caller"
    if now.remaining < micros:
        raise BudgetExceeded(_budget_text(whose, now, micros), permanent=True)
    if only_budgets:
        return
    if now.hits >= now.rate:
        raise LimitExceeded(
            f"The limit of {whose} is {now.rate} requests a minute",
            retry_after=math.ceil((now.minute + 1) * _MINUTE_SECONDS - moment),
        )
    if now.open >= now.max_open:
        raise LimitExceeded(
            f"The limit of {whose} is {now.max_open} jobs that are queued or running: wait until one has ended",
            retry_after=_SECONDS_UNTIL_A_JOB_ENDS,
        )


def _budget_text(whose: str, now: LimitItem, micros: int) -> str:
    end = period_end(now.kind, now.day)
    renews = f"it renews at {end:%Y-%m-%dT%H:%M:%SZ}" if end else "it does not renew"
    return (
        f"The budget of {whose} has {format_usd(from_micros(max(0, now.remaining)))} of "
        f"{format_usd(from_micros(now.limit))} US dollars left, and the request needs "
        f"{format_usd(from_micros(micros))}; {renews}"
    )
