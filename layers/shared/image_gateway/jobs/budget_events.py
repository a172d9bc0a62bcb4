"""Events about budgets: one when 80 percent of a budget are used and one at 100 percent, once in each period."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.events import JobEvents
from image_gateway.models.money import format_usd

if TYPE_CHECKING:
    from image_gateway.metering.limit_store import BudgetUse, LimitStore

logger = logging.getLogger(__name__)


class BudgetEvents:
    """Publishes `Image Budget Used`.

    Args:
        limits: returns the limits of all scopes. Most processes have no job with limits, and never need them.
        events: publishes events.
    """

    def __init__(self, limits: "Callable[[], LimitStore]", events: JobEvents) -> None:
        self._limits = limits
        self._events = events

    async def publish(self, scopes: Iterable[str]) -> None:
        """Publish what has been used of the budgets of these scopes, if that is due. A failure is logged.

        What is held for jobs that have not ended counts as used.
        """
        if not self._events.enabled:
            return
        limits = self._limits()
        for scope in scopes:
            try:
                use = await limits.newly_used(scope)
                if use and not await self._events.publish("Image Budget Used", _detail(scope, use), scope=scope):
                    await limits.report_again(scope, use)
            except StorageUnavailable:
                logger.exception("the use of a budget is not known", extra={"scope": scope})


def _detail(scope: str, use: "BudgetUse") -> dict[str, Any]:
    return {
        "scope": scope,
        "percent": use.percent,
        "period": use.budget.period,
        "budget_usd": format_usd(use.budget.usd),
        "remaining_usd": format_usd(use.remaining_usd),
    }
