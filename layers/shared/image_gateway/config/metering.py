"""What a catalogue says about costs: the operator's prices, and whether the deployment is limited."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from image_gateway.metering.scopes import event_owner

if TYPE_CHECKING:
    from image_gateway.models.prices import PriceRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metering:
    """How requests are priced and limited.

    Attributes:
        prices: the operator's prices.
        limited: whether the ledger has limits of the deployment.
        refuses_unknown_prices: whether a request that is limited needs a price.
        limited_events: the owners of requests by event, such as `event:s3`, that have a budget.
    """

    prices: "tuple[PriceRow, ...]" = ()
    limited: bool = False
    refuses_unknown_prices: bool = False
    limited_events: frozenset[str] = frozenset()


UNMETERED: Final = Metering()
"""Neither prices of the operator nor limits."""


def read_metering(document: Mapping[str, Any]) -> Metering:
    """Return what the content of a catalogue says. Prices that only a newer version can use are left out."""
    limits = document.get("limits")
    limits = limits if isinstance(limits, dict) else {}
    prices = document.get("prices")
    return Metering(
        prices=tuple(_prices(prices)) if isinstance(prices, list) else (),
        limited=limits.get("limited") is True,
        refuses_unknown_prices=limits.get("unknown_price") == "refuse",
        limited_events=frozenset(map(event_owner, limits.get("events") or ())),
    )


def _prices(stored: list[Any]) -> "Iterator[PriceRow]":
    # Imported late: most deployments have no prices of their own.
    model = import_module("image_gateway.models.prices").PriceRow
    for row in stored:
        try:
            yield model.model_validate(row)
        except ValidationError:
            logger.warning("a stored price cannot be used, and is ignored")
