"""Where a request may go: one destination, or the targets of a route."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

from image_gateway.config.metering import UNMETERED, Metering
from image_gateway.config.timeouts import REWRITE_TIMEOUT_SECONDS
from image_gateway.routing.destination import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a request may go.

    Attributes:
        destinations: at least one; of a route its targets, in their order.
        route: the name of the route; empty if the request names none.
        catalogue: the hash of the catalogue that has the route or the connection; empty if none is used.
        strategy: which target is tried first.
        fallback_on: the failures after which the next target is tried.
        metering: how the request is priced and limited.
    """

    destinations: tuple[Destination, ...]
    route: str = ""
    catalogue: str = ""
    strategy: str = "ordered"
    fallback_on: Collection[str] = ()
    metering: Metering = UNMETERED

    @classmethod
    def to(cls, destination: Destination, *, catalogue: str = "") -> Self:
        """Return the plan with this only destination."""
        return cls(destinations=(destination,), catalogue=catalogue)

    @property
    def first(self) -> Destination:
        """The first destination."""
        return self.destinations[0]

    @property
    def usable(self) -> Sequence[Destination]:
        """The destinations without a problem, or the first if there is none."""
        return [each for each in self.destinations if each.problem is None] or self.destinations[:1]

    @property
    def max_seconds(self) -> float:
        """How long a request may take in all, in seconds, if it is passed on to every destination.

        Its prompt is rewritten once.
        """
        seconds = [destination.config.IMAGE_ENGINE_TIMEOUT for destination in self.destinations]
        rewriting = self.first.max_seconds - seconds[0]
        return sum(seconds) + min(rewriting, REWRITE_TIMEOUT_SECONDS)

    def metered(self, metering: Metering) -> Self:
        """Return the plan with the operator's prices and limits."""
        priced = tuple(replace(each, price_rows=metering.prices) for each in self.destinations)
        return replace(self, destinations=priced, metering=metering)

    def only(self, target: int) -> Self:
        """Return the plan of a request that stays at the target with this number."""
        chosen = tuple(each for each in self.destinations if each.target == target)
        return replace(self, destinations=chosen, fallback_on=()) if chosen else self
