"""Events about budgets: one when 80 percent of a budget are used and one at 100 percent, once in each period."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.events import JobEvents
from image_gateway.models.money import format_usd

if TYPE_CHECKING:
    from image_gateway.metering.limit_store import LimitStore

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
                percent = await limits.newly_used_percent(scope)
                state = await limits.state(scope) if percent else None
            except StorageUnavailable:
                logger.exception("the use of a budget is not known", extra={"scope": scope})
                continue
            if state and state.budget and state.remaining_usd is not None:
                detail = {
                    "scope": scope,
                    "percent": percent,
                    "period": state.budget.period,
                    "budget_usd": format_usd(state.budget.usd),
                    "remaining_usd": format_usd(state.remaining_usd),
                }
                await self._events.publish("Image Budget Used", detail, scope=scope)
