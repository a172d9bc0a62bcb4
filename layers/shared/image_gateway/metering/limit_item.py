"""The item of one scope's limits in the table, and what it allows.

Amounts are whole millionths of a dollar. What was spent is counted for the day, for the month and in all, whatever the
period of the budget is. So a budget whose period or amount is changed, or that is removed and set again, still knows
what was spent. A limit that does not exist is a number that is never reached, so that one expression fits all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_gateway.metering.periods import TOTAL, day_of, minute_of, renewed_kinds

UNLIMITED: Final = 10**18
"""More than any budget, in millionths, and than any count."""
LIMITS: Final = "limits#"
"""The beginning of the items' keys."""
_TEXTS: Final = frozenset({"series", "kind", "day", "end_user_kind"})


def limits_key(scope: str) -> dict[str, Any]:
    """Return the key of a scope's item."""
    return {"pk": {"S": f"{LIMITS}{scope}"}}


def to_values(values: Mapping[str, str | int]) -> dict[str, Any]:
    """Return texts and whole numbers as DynamoDB's JSON."""
    return {name: {"S" if isinstance(value, str) else "N": str(value)} for name, value in values.items()}


def spent_in(kind: str) -> str:
    """Return the attribute that counts what was spent in a period of this kind."""
    return f"spent_{kind}"


@dataclass(frozen=True, slots=True)
class LimitItem:
    """The limits of a scope and their state, as they are stored.

    Attributes:
        series: distinguishes this item from an earlier one of the same scope that was removed.
        kind: when the budget renews.
        limit: the budget of a period.
        max_open: how many jobs may be open.
        rate: how many requests a minute may have.
        day: the latest day on which something was accepted, or on which the item was created. It never goes back,
            because the clocks of two processes differ.
        spent_day: what was spent and is held of that day.
        spent_month: the same of its month.
        spent_total: the same since the item was created.
        open: how many jobs are open.
        minute: the minute of `hits`; it never goes back either.
        hits: how many requests that minute had. They are counted only if there is a rate.
        notified: of how many percent of this period's budget an event was sent.
        end_user_kind: of a token: when the budget of each of its end users renews.
        end_user_limit: of a token: the budget of each of its end users.
    """

    series: str
    kind: str
    limit: int
    max_open: int
    rate: int
    day: str
    spent_day: int = 0
    spent_month: int = 0
    spent_total: int = 0
    open: int = 0
    minute: int = 0
    hits: int = 0
    notified: int = 0
    end_user_kind: str = TOTAL
    end_user_limit: int = UNLIMITED

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> "LimitItem":
        """Return what an item of the table has."""
        values: dict[str, Any] = {
            name: item[name]["S"] if name in _TEXTS else int(item[name]["N"]) for name in cls.__slots__
        }
        return cls(**values)

    def to_item(self) -> dict[str, Any]:
        """Return the attributes as DynamoDB's JSON."""
        return to_values(self.attributes())

    @property
    def spent(self) -> int:
        """What was spent and is held in the period of the budget."""
        spent: int = getattr(self, spent_in(self.kind))
        return spent

    @property
    def remaining(self) -> int:
        """What is left of the budget; negative where a job cost more than was held, or the limit was lowered."""
        return self.limit - self.spent

    @property
    def charge(self) -> str:
        """What a job records that is accepted in this state: the day that it is charged to, and the series."""
        return f"{self.day}#{self.series}"

    def at(self, moment: float) -> "LimitItem":
        """Return the state at a moment: in a new period nothing is spent, and a new minute has no requests."""
        day, minute = max(day_of(moment), self.day), max(minute_of(moment), self.minute)
        renewed = renewed_kinds(self.day, day)
        return LimitItem(
            **{
                **self.attributes(),
                **{spent_in(kind): 0 for kind in renewed},
                "day": day,
                "minute": minute,
                "hits": 0 if minute > self.minute else self.hits,
                "notified": 0 if self.kind in renewed else self.notified,
            }
        )

    def attributes(self) -> dict[str, Any]:
        """Return the attributes by name."""
        return {name: getattr(self, name) for name in self.__slots__}
