"""Limits of scopes, as administrators set and see them."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from image_gateway.aws import Aws, ConditionFailed, Table
from image_gateway.errors import Busy
from image_gateway.metering.limit_item import UNLIMITED, LimitItem, limits_key, to_values
from image_gateway.metering.periods import TOTAL, period_name
from image_gateway.models.limits import Budget, Limits, LimitState, Period
from image_gateway.models.money import from_micros, to_micros
from image_gateway.settings import Settings

_NOT_READ = "The limits cannot be read"
_NOT_CHANGED = "The limits were not changed"
_MAX_TRIES: Final = 6
_PERCENTS: Final = (80, 100)
"""Parts of a budget at whose use an event is sent."""


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
        """Set the limits of a scope. They hold at once, and what was spent in the period stays spent.

        Raises:
            Busy: other requests keep changing the limits.
            StorageUnavailable: the table does not respond.
        """
        for _ in range(_MAX_TRIES):
            item = await self._table.get(limits_key(scope), _NOT_READ)
            stored = LimitItem.parse(item) if item else None
            if await self._replace(scope, stored, limits):
                return
        raise Busy(f"{_NOT_CHANGED}: other requests change them at the same time", retry_after=1)

    async def _replace(self, scope: str, stored: LimitItem | None, limits: Limits) -> bool:
        """Change the limits of a scope; return False if another write came between."""
        now = self._now()
        new = _new(limits, now)
        if stored is None:
            put = {"Item": {**limits_key(scope), **new.to_item()}, "ConditionExpression": "attribute_not_exists(pk)"}
            return await self._write("PutItem", **put)
        same_period = (stored.kind, stored.period) == (new.kind, new.period)
        # What was spent in this period is subtracted from the new budget by the table, in one write.
        remaining = "remaining + :delta" if same_period else ":limit"
        names = {"#limit": "limit", "#period": "period"}
        values: dict[str, str | int] = {
            ":limit": new.limit,
            ":kind": new.kind,
            ":period": new.period,
            ":open": new.max_open,
            ":rate": new.rate,
            ":old_limit": stored.limit,
            ":old_period": stored.period,
            ":old_kind": stored.kind,
            **({":delta": new.limit - stored.limit} if same_period else {}),
        }
        return await self._write(
            "UpdateItem",
            Key=limits_key(scope),
            UpdateExpression=f"SET #limit = :limit, kind = :kind, #period = :period, remaining = {remaining}, "
            "max_open = :open, rate = :rate",
            ConditionExpression="#limit = :old_limit AND #period = :old_period AND kind = :old_kind",
            ExpressionAttributeNames=names,
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
        return {**limits_key(scope), **_new(limits, self._now()).to_item()}

    async def states(self, scopes: Sequence[str]) -> dict[str, LimitState]:
        """Return the limits of several scopes, as `state` does; those without any are left out.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        items = await self._table.get_many([limits_key(scope) for scope in scopes], _NOT_READ)
        return {item["pk"]["S"].partition("#")[2]: _state(LimitItem.parse(item), self._now()) for item in items}

    async def remove(self, scope: str) -> None:
        """Remove the limits of a scope. Jobs that are open are settled without them.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        await self._table.call("DeleteItem", _NOT_CHANGED, Key=limits_key(scope))

    async def state(self, scope: str) -> LimitState | None:
        """Return the limits of a scope and what they leave; None if it has none.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        item = await self._table.get(limits_key(scope), _NOT_READ)
        return _state(LimitItem.parse(item), self._now()) if item else None

    async def newly_used_percent(self, scope: str) -> int | None:
        """Return 80 or 100 if that part of the budget has been used, and nobody has been told so in this period.

        Of several callers at the same time, one learns it.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        item = await self._table.get(limits_key(scope), _NOT_READ)
        if item is None:
            return None
        state = LimitItem.parse(item)
        used = state.limit - state.remaining
        reached = max((percent for percent in _PERCENTS if used * 100 >= percent * state.limit), default=0)
        if state.limit in (0, UNLIMITED) or reached <= state.notified:
            return None
        marked = await self._write(
            "UpdateItem",
            Key=limits_key(scope),
            UpdateExpression="SET notified = :reached",
            ConditionExpression="notified < :reached AND #period = :period",
            ExpressionAttributeNames={"#period": "period"},
            ExpressionAttributeValues=to_values({":reached": reached, ":period": state.period}),
            ReturnValues="NONE",
        )
        return reached if marked else None


def _new(limits: Limits, moment: float) -> LimitItem:
    """Return the limits of a scope that has used nothing of them."""
    kind = limits.budget.period if limits.budget else TOTAL
    limit = to_micros(limits.budget.usd) if limits.budget else UNLIMITED
    return LimitItem(
        kind=kind,
        limit=limit,
        period=period_name(kind, moment),
        remaining=limit,
        max_open=limits.max_jobs or UNLIMITED,
        open=0,
        rate=limits.requests_per_minute or UNLIMITED,
        minute=0,
        hits=0,
    )


def _state(item: LimitItem, moment: float) -> LimitState:
    """Return what callers see of limits."""
    now = item.at(moment)
    has_budget = item.limit < UNLIMITED
    budget = Budget(usd=from_micros(item.limit), period=cast("Period", item.kind)) if has_budget else None
    return LimitState(
        budget=budget,
        requests_per_minute=item.rate if item.rate < UNLIMITED else None,
        max_jobs=item.max_open if item.max_open < UNLIMITED else None,
        remaining_usd=from_micros(max(0, now.remaining)) if has_budget else None,
        open_jobs=item.open,
    )
