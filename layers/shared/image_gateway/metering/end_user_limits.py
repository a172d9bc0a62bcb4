"""Budgets of end users: a token gives the same budget to each of them, and each has an item of its own.

The budget itself is in the item of the token, whose hold is part of the same transaction. So a change of it holds for
all end users at once. The item of an end user counts what was spent, and is made by its first request: of several at
the same time one makes it, and the failed writes of the others show that it exists.
"""

import secrets
from dataclasses import replace
from typing import Any, Final

from image_gateway.metering.limit_item import UNLIMITED, LimitItem, spent_in
from image_gateway.metering.limit_writes import Write, spend, update_write
from image_gateway.metering.periods import KINDS, TOTAL, renewed_kinds
from image_gateway.metering.scopes import label_of

_NEVER: Final = 253_402_300_799
"""The end of the year 9999: what was spent of a budget that never renews is never forgotten by itself."""
_KEPT_SECONDS: Final = 400 * 86_400
"""How long an item is kept after the last request, as long as usage is."""


def item_of_end_user(stored: LimitItem | None, token: LimitItem) -> LimitItem | None:
    """Return the item of an end user with the budget that its token gives now; None if it gives none.

    Args:
        stored: the item as it is known; None if there is none. A new item has nothing spent.
        token: the item of the token, at the moment of the request.
    """
    if token.end_user_limit >= UNLIMITED:
        return None
    budget: dict[str, Any] = {"kind": token.end_user_kind, "limit": token.end_user_limit}
    if stored:
        return replace(stored, **budget)
    return LimitItem(
        series=secrets.token_hex(3), day=token.day, max_open=UNLIMITED, rate=UNLIMITED, **budget, minute=token.minute
    )


def hold_for_end_user(
    table: str, scope: str, item: LimitItem, micros: int, moment: float, *, stored: LimitItem | None
) -> Write:
    """Return the write that holds an amount, if the item is as known and its budget allows it.

    That the whole budget is enough for the amount must be known: no condition says so.

    Args:
        table: the table's name.
        scope: the scope of the end user.
        item: the item as it is known, with its present budget.
        micros: the amount, in millionths of a dollar.
        moment: the time in seconds since 1970.
        stored: the item with the budget that it has; None if there is no item.
    """
    expires = _NEVER if item.kind == TOTAL else int(moment) + _KEPT_SECONDS
    if stored is None:
        spent = {spent_in(kind): micros for kind in KINDS}
        created = {**item.attributes(), **spent, "open": 1, "end_user": label_of(scope), "expires_at": expires}
        sets = [f"#{name} = :{name}" for name in created]
        values = {f":{name}": value for name, value in created.items()}
        return update_write(table, scope, sets, ["attribute_not_exists(pk)"], values)
    current = item.at(moment)
    renewed = renewed_kinds(item.day, current.day)
    sets = [*spend(renewed), "#kind = :kind", "#limit = :limit", "#open = #open + :one", "#expires_at = :expires"]
    conditions = ["#series = :series", "#day = :known_day"]
    values = {
        ":kind": item.kind,
        ":limit": item.limit,
        ":day": current.day,
        ":amount": micros,
        ":one": 1,
        ":expires": expires,
        ":series": item.series,
        ":known_day": item.day,
    }
    if item.kind not in renewed:
        conditions.append(f"#{spent_in(item.kind)} <= :room")
        values[":room"] = item.limit - micros
    if item.kind in renewed or (stored.kind, stored.limit) != (item.kind, item.limit):
        sets.append("#notified = :zero")
        values[":zero"] = 0
    return update_write(table, scope, sets, conditions, values)
