"""Begins rounds: orders the destinations of a plan, with what is known about their servers."""

from typing import TYPE_CHECKING, Final

from image_gateway.errors import StorageUnavailable
from image_gateway.routing.plan import Plan
from image_gateway.routing.round import Round

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_gateway.routing.cooldown import Cooldowns
    from image_gateway.slots.store import SlotStore

INLINE_AGE_SECONDS: Final = 5.0
"""How old the knowledge of a request may be that is not queued. A worker's job reads more than one item anyway."""


class Rounds:
    """Begins rounds for the requests of one process.

    Args:
        cooldowns: returns the targets that are left alone. Only requests with a route need them.
        slots: returns the slots of servers. Only routes with the strategy `least_busy` need them.
    """

    def __init__(self, cooldowns: "Callable[[], Cooldowns]", slots: "Callable[[], SlotStore]") -> None:
        self._cooldowns = cooldowns
        self._slots = slots

    async def begin(self, plan: Plan, *, max_age_seconds: float = INLINE_AGE_SECONDS) -> Round:
        """Begin a round through the destinations of a plan.

        Args:
            plan: the plan.
            max_age_seconds: how old what this process knows about cooldowns may be.
        """
        if not plan.route or len(plan.destinations) == 1:
            return Round(plan, plan.destinations)
        from image_gateway.routing.selection import in_order  # noqa: PLC0415 - most requests name no route

        cooldowns = self._cooldowns()
        await cooldowns.read(max_age_seconds)
        return Round(plan, in_order(plan, await self._free_slots(plan)), cooldowns)

    async def _free_slots(self, plan: Plan) -> dict[str, int]:
        """Return the free slots of the servers that have a limit, by one read; empty if the table does not respond."""
        limits = {each.server: each.max_concurrent for each in plan.destinations if each.problem is None}
        limited = {server: limit for server, limit in limits.items() if limit is not None}
        if plan.strategy != "least_busy" or not limited:
            return {}
        try:
            taken = await self._slots().taken(list(limited))
        except StorageUnavailable:
            return {}
        return {server: limit - taken.get(server, 0) for server, limit in limited.items()}
