"""The item of one scope's limits in the table, and what it allows.

DynamoDB's conditions cannot add, so the item has what remains of a budget, and not what was spent. Amounts are whole
millionths of a dollar. A limit that does not exist is a number that is never reached, so that one expression fits all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_gateway.metering.periods import minute_of, period_name

UNLIMITED: Final = 10**15
"""More than any budget, in millionths, and than any count."""


def limits_key(scope: str) -> dict[str, Any]:
    """Return the key of a scope's item."""
    return {"pk": {"S": f"limits#{scope}"}}


def to_values(values: Mapping[str, str | int]) -> dict[str, Any]:
    """Return texts and whole numbers as DynamoDB's JSON."""
    return {name: {"S" if isinstance(value, str) else "N": str(value)} for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class LimitItem:
    """The limits of a scope and their state, as they are stored.

    Attributes:
        kind: when the budget renews.
        limit: the budget of a period.
        period: the name of the period of `remaining`.
        remaining: what remains; negative where a job cost more than was held for it.
        max_open: how many jobs may be open.
        open: how many are.
        rate: how many requests a minute may have.
        minute: the minute of `hits`.
        hits: how many requests that minute had.
        notified: of how many percent of this period's budget an event was sent.
    """

    kind: str
    limit: int
    period: str
    remaining: int
    max_open: int
    open: int
    rate: int
    minute: int
    hits: int
    notified: int = 0

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> "LimitItem":
        """Return what an item of the table has."""
        numbers = ("limit", "remaining", "max_open", "open", "rate", "minute", "hits", "notified")
        values: dict[str, Any] = {name: int(item[name]["N"]) for name in numbers}
        return cls(kind=item["kind"]["S"], period=item["period"]["S"], **values)

    def to_item(self) -> dict[str, Any]:
        """Return the attributes as DynamoDB's JSON."""
        return to_values(self._fields())

    def at(self, moment: float) -> "LimitItem":
        """Return the state at a moment: in a new period the whole budget remains, and a new minute has no requests."""
        period, minute = period_name(self.kind, moment), minute_of(moment)
        renewed = period != self.period
        return LimitItem(
            **{
                **self._fields(),
                "period": period,
                "remaining": self.limit if renewed else self.remaining,
                "minute": max(minute, self.minute),
                "hits": 0 if minute > self.minute else self.hits,
                "notified": 0 if renewed else self.notified,
            }
        )

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}
