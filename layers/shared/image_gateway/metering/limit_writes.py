"""The writes that change the item of one scope's limits, for transactions.

Conditions of DynamoDB cannot add. So each is about the limit that is known, and about what may have been spent for an
amount to fit into it. If the item is not as known, the write fails and returns it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from image_gateway.metering.limit_item import UNLIMITED, LimitItem, limits_key, spent_in, to_values
from image_gateway.metering.periods import KINDS, period_name, renewed_kinds

Write = Mapping[str, Any]
"""One write of a transaction, such as `{"Put": {…}}`."""
_NAME = re.compile(r"#\w+")


def hold(
    table: str,
    scope: str,
    known: LimitItem,
    micros: int,
    moment: float,
    *,
    only_budgets: bool,
    for_end_user: bool = False,
) -> Write:
    """Return the write that holds an amount, if the item is as known and its limits allow it.

    Args:
        table: the table's name.
        scope: whose limits they are.
        known: the item as it was last seen.
        micros: the amount, in millionths of a dollar.
        moment: the time in seconds since 1970.
        only_budgets: whether neither requests a minute nor open jobs are counted and limited.
        for_end_user: whether the request is for an end user, whose budget this token gives.
    """
    current = known.at(moment)
    renewed = renewed_kinds(known.day, current.day)
    sets = spend(renewed)
    conditions = ["#series = :series", "#kind = :kind", "#day = :known_day"]
    values: dict[str, str | int] = {
        ":series": known.series,
        ":kind": known.kind,
        ":day": current.day,
        ":known_day": known.day,
        ":amount": micros,
    }
    if known.kind in renewed:
        sets.append("#notified = :zero")
        conditions.append("#limit >= :amount")
        values[":zero"] = 0
    else:
        conditions += ["#limit = :limit", f"#{spent_in(known.kind)} <= :room"]
        values |= {":limit": known.limit, ":room": known.limit - micros}
    if for_end_user:
        # What its end user may spend is known from this item, so it must be as known.
        conditions += ["#end_user_kind = :end_user_kind", "#end_user_limit = :end_user_limit"]
        values |= {":end_user_kind": known.end_user_kind, ":end_user_limit": known.end_user_limit}
    if not only_budgets:
        sets.append("#open = #open + :one")
        conditions.append("#open < #max_open")
        values[":one"] = 1
        _count_request(known, current, sets, conditions, values)
    return update_write(table, scope, sets, conditions, values)


def spend(renewed: Sequence[str]) -> list[str]:
    """Return what counts an amount as spent, for `SET`, if periods of these kinds begin with it."""
    spent = [(kind, spent_in(kind)) for kind in KINDS]
    return ["#day = :day", *(f"#{name} = {'' if kind in renewed else f'#{name} + '}:amount" for kind, name in spent)]


def _count_request(
    known: LimitItem, current: LimitItem, sets: list[str], conditions: list[str], values: dict[str, str | int]
) -> None:
    """Add what counts a request of a minute, if there is a limit of them."""
    if known.rate >= UNLIMITED:
        # Without a rate, processes need not agree on the minute: a new one would cost each of them a failed write.
        conditions.append("#rate = :rate")
        values[":rate"] = known.rate
        return
    is_new = current.minute != known.minute
    sets += ["#minute = :minute", f"#hits = {':one' if is_new else '#hits + :one'}"]
    conditions += ["#minute = :known_minute", *([] if is_new else ["#hits < #rate"])]
    values |= {":minute": current.minute, ":known_minute": known.minute}


def give_back(table: str, scope: str, charge: str, known_day: str, micros: int, *, closed: int) -> Write | None:
    """Return the write that gives back an amount and ends open jobs; None if nothing changes.

    An amount is given back where the period that it was charged to is still the present one. What was charged to an
    earlier period stays there.

    Args:
        table: the table's name.
        scope: whose limits they are.
        charge: what the job recorded: see `LimitItem.charge`.
        known_day: the day of the item as it was last seen.
        micros: the amount in millionths of a dollar; negative if the job cost more than was held.
        closed: how many jobs are no longer open.
    """
    day, _, series = charge.partition("#")
    conditions = ["#series = :series"]
    values: dict[str, str | int] = {":series": series}
    sets = []
    if closed:
        sets.append("#open = #open - :closed")
        values[":closed"] = closed
    if micros:
        present = [kind for kind in KINDS if period_name(kind, day) == period_name(kind, known_day)]
        sets += [f"#{spent_in(kind)} = #{spent_in(kind)} - :back" for kind in present]
        conditions.append("#day = :known_day")
        values |= {":back": micros, ":known_day": known_day}
    return update_write(table, scope, sets, conditions, values) if sets else None


def update_write(
    table: str, scope: str, sets: Sequence[str], conditions: Sequence[str], values: Mapping[str, str | int]
) -> Write:
    """Return a write that sets attributes on conditions. Names of attributes in them begin with a number sign."""
    update, condition = "SET " + ", ".join(sets), " AND ".join(conditions)
    return {
        "Update": {
            "TableName": table,
            "Key": limits_key(scope),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": attribute_names(update, condition),
            "ExpressionAttributeValues": to_values(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def attribute_names(*expressions: str) -> dict[str, str]:
    """Return the names of attributes in expressions, where each has a number sign: many of them are reserved words."""
    return {name: name[1:] for expression in expressions for name in _NAME.findall(expression)}
