"""Limits of scopes, as administrators set and see them."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from image_gateway.aws import Aws, ConditionFailed, Table
from image_gateway.errors import Busy
from image_gateway.metering.limit_item import UNLIMITED, LimitItem, limits_key, to_values
from image_gateway.metering.limit_writes import attribute_names
from image_gateway.metering.periods import TOTAL, day_of
from image_gateway.models.limits import Budget, Limits, Period, TokenLimitState
from image_gateway.models.money import from_micros, to_micros
from image_gateway.settings import Settings

_NOT_READ = "The limits cannot be read"
_NOT_CHANGED = "The limits were not changed"
_MAX_TRIES: Final = 6
_PERCENTS: Final = (80, 100)
"""Parts of a budget at whose use an event is sent."""


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A part of a budget that has been used, which was not reported before.

    Attributes:
        percent: 80 or 100.
        budget: the budget.
        remaining_usd: what is left of it.
    """

    percent: int
    budget: Budget
    remaining_usd: Decimal


class LimitStore:
    """Sets and reads the limits of one deployment's scopes. `metering.ledger` applies them.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._now = now

    async def set_limits(self, scope: str, limits: Limits) -> None:
        """Set the limits of a scope: as `change`, whatever they were."""
        await self.change(scope, lambda _: limits)

    async def change(self, scope: str, change: Callable[[Limits], Limits]) -> None:
        """Change the limits of a scope. They hold at once, and what was spent stays spent.

        Args:
            scope: whose limits they are.
            change: returns the new limits for the present ones, which are empty if there are none.

        Raises:
            Busy: other requests keep changing the limits.
            StorageUnavailable: the table does not respond.
        """
        for _ in range(_MAX_TRIES):
            item = await self._table.get(limits_key(scope), _NOT_READ)
            if item is None:
                new = {
                    "Item": self.new_item(scope, change(Limits())),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
                changed = await self._write("PutItem", **new)
            else:
                stored = LimitItem.parse(item)
                changed = await self._replace(scope, stored, change(_limits(stored)))
            if changed:
                return
        raise Busy(f"{_NOT_CHANGED}: other requests change them at the same time", retry_after=1)

    async def _replace(self, scope: str, stored: LimitItem, limits: Limits) -> bool:
        """Replace the limits of a scope; return False if they are not the stored ones any more."""
        new = _stored_limits(limits)
        sets = [f"#{name} = :{name}" for name in new]
        conditions = ["#series = :series", *(f"#{name} = :old_{name}" for name in new)]
        values: dict[str, str | int] = {
            ":series": stored.series,
            **{f":{name}": value for name, value in new.items()},
            **{f":old_{name}": getattr(stored, name) for name in new},
        }
        if (new["kind"], new["limit"]) != (stored.kind, stored.limit):
            # The parts of another budget are news.
            sets.append("#notified = :zero")
            values[":zero"] = 0
        return await self._update(scope, sets, conditions, values)

    async def _update(
        self, scope: str, sets: Sequence[str], conditions: Sequence[str], values: dict[str, str | int]
    ) -> bool:
        update, condition = "SET " + ", ".join(sets), " AND ".join(conditions)
        return await self._write(
            "UpdateItem",
            Key=limits_key(scope),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames=attribute_names(update, condition),
            ExpressionAttributeValues=to_values(values),
            ReturnValues="NONE",
        )

    async def _write(self, operation: str, **parameters: Any) -> bool:
        try:
            await self._table.call(operation, _NOT_CHANGED, **parameters)
        except ConditionFailed:
            return False
        return True

    def new_item(self, scope: str, limits: Limits) -> dict[str, Any]:
        """Return the item of a scope that has used nothing of its limits, to be stored with others."""
        item = LimitItem(series=secrets.token_hex(3), day=day_of(self._now()), **_stored_limits(limits))
        return {**limits_key(scope), **item.to_item()}

    async def states(self, scopes: Sequence[str]) -> dict[str, TokenLimitState]:
        """Return the limits of several scopes, as `state` does; those without any are left out.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        items = await self._table.get_many([limits_key(scope) for scope in scopes], _NOT_READ)
        now = self._now()
        return {item["pk"]["S"].partition("#")[2]: _state(LimitItem.parse(item).at(now)) for item in items}

    async def remove(self, scope: str) -> None:
        """Forget a scope: its limits, and what it spent. Jobs that are open are settled without them.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        await self._table.call("DeleteItem", _NOT_CHANGED, Key=limits_key(scope))

    async def state(self, scope: str) -> TokenLimitState | None:
        """Return the limits of a scope and what they leave; None if it has none.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        item = await self._table.get(limits_key(scope), _NOT_READ)
        return _state(LimitItem.parse(item).at(self._now())) if item else None

    async def newly_used(self, scope: str) -> BudgetUse | None:
        """Return that 80 or 100 percent of the budget have been used, if that was not reported in this period.

        Of several callers at the same time, one learns it.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        item = await self._table.get(limits_key(scope), _NOT_READ)
        if item is None:
            return None
        # As it is stored: a job of yesterday may have used up yesterday's budget.
        stored = LimitItem.parse(item)
        reached = max((each for each in _PERCENTS if stored.spent * 100 >= each * stored.limit), default=0)
        budget = _budget(stored.kind, stored.limit)
        if budget is None or not stored.limit or reached <= stored.notified:
            return None
        same_budget = ["#series = :series", "#day = :day", "#kind = :kind", "#limit = :limit"]
        values: dict[str, str | int] = {
            f":{name}": getattr(stored, name) for name in ("series", "day", "kind", "limit")
        }
        marked = await self._update(
            scope,
            ["#notified = :reached"],
            [*same_budget, "#notified < :reached"],
            {**values, ":reached": reached},
        )
        return BudgetUse(reached, budget, _left(stored)) if marked else None

    async def report_again(self, scope: str, use: BudgetUse) -> None:
        """Let the use of a budget be reported again, because the event could not be sent.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        values: dict[str, str | int] = {":zero": 0, ":percent": use.percent}
        await self._update(scope, ["#notified = :zero"], ["#notified = :percent"], values)


def _stored_limits(limits: Limits) -> dict[str, Any]:
    """Return limits as the attributes of an item."""
    return {
        "kind": limits.budget.period if limits.budget else TOTAL,
        "limit": to_micros(limits.budget.usd) if limits.budget else UNLIMITED,
        "max_open": limits.max_jobs or UNLIMITED,
        "rate": limits.requests_per_minute or UNLIMITED,
        "end_user_kind": limits.end_user_budget.period if limits.end_user_budget else TOTAL,
        "end_user_limit": to_micros(limits.end_user_budget.usd) if limits.end_user_budget else UNLIMITED,
    }


def _limits(item: LimitItem) -> Limits:
    """Return the limits of an item."""
    return Limits(
        budget=_budget(item.kind, item.limit),
        requests_per_minute=item.rate if item.rate < UNLIMITED else None,
        max_jobs=item.max_open if item.max_open < UNLIMITED else None,
        end_user_budget=_budget(item.end_user_kind, item.end_user_limit),
    )


def _budget(kind: str, limit: int) -> Budget | None:
    return Budget(usd=from_micros(limit), period=cast("Period", kind)) if limit < UNLIMITED else None


def _left(item: LimitItem) -> Decimal:
    return from_micros(max(0, item.remaining))


def _state(item: LimitItem) -> TokenLimitState:
    """Return what callers see of limits."""
    limits = _limits(item)
    return TokenLimitState(
        **dict(limits),
        remaining_usd=_left(item) if limits.budget else None,
        open_jobs=item.open,
    )
