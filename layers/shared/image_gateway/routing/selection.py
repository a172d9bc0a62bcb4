"""In which order the targets of a route are tried."""

import random
from collections.abc import Callable, Mapping, Sequence

from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan


def in_order(
    plan: Plan, free_slots: Mapping[str, int] | None = None, *, draw: Callable[[], float] = random.random
) -> list[Destination]:
    """Return the destinations of a plan in the order in which they are tried.

    Args:
        plan: the plan.
        free_slots: server → how many of its slots are free, for `least_busy`.
        draw: returns a random number from 0 to 1.
    """
    destinations = list(plan.destinations)
    match plan.strategy:
        case "weighted":
            first = _drawn(destinations, draw())
            return [destinations.pop(first), *destinations]
        case "least_busy":
            # A sort is stable, so servers that are equally busy are in random order.
            destinations.sort(key=lambda _destination: draw())
            free = free_slots or {}
            return sorted(destinations, key=lambda each: -_free(each, free))
    return destinations


def _drawn(destinations: Sequence[Destination], point: float) -> int:
    """Return the number of the destination that a point from 0 to 1 hits, if each has a share by its weight."""
    left = point * sum(each.weight for each in destinations)
    for number, destination in enumerate(destinations):
        left -= destination.weight
        if left < 0:
            return number
    return max(range(len(destinations)), key=lambda number: destinations[number].weight)


def _free(destination: Destination, free_slots: Mapping[str, int]) -> float:
    if destination.problem:
        return float("-inf")
    limit = destination.max_concurrent
    return float("inf") if limit is None else free_slots.get(destination.server, limit)
