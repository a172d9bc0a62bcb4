"""The ledger: what limits leave, held for a job when it is created and settled after its end.

A reservation is part of the transaction that creates the job, so there is neither a job without its reservation nor a
reservation without its job. The settlement is a transaction with a mark on the job's item: it is executed once, however
often it is tried.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from image_gateway.aws import CONDITION_FAILED, Aws, Reason, Table
from image_gateway.errors import Busy
from image_gateway.metering.limit_item import LimitItem, limits_key, to_values
from image_gateway.metering.refusals import require_allowed
from image_gateway.settings import Settings

_NOT_READ = "The limits cannot be read"
_CONTENDED = "Too many requests change the same limits at the same time"
_MAX_TRIES: Final = 6
_RETURN_STORED_ITEM = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
Write = Mapping[str, Any]
"""One write of a transaction, such as `{"Put": {…}}`."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held for a job.

    Attributes:
        micros: millionths of a dollar.
        periods: the period that is charged, by the name of each scope.
        only_budgets: whether it is not counted among the open jobs.
    """

    micros: int
    periods: Mapping[str, str]
    only_budgets: bool = False


class Ledger:
    """The limits of all scopes of one deployment.

    A scope is whose limits they are: `deployment`, `token:…`, or an end user. This process remembers what it last knew
    of each, which decides only how the next write is worded, never whether it succeeds.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._now = now
        self._known: dict[str, LimitItem] = {}

    async def reserve(
        self,
        scopes: Sequence[str],
        micros: int,
        create: Callable[[Reservation], Sequence[Write]],
        *,
        only_budgets: bool = False,
    ) -> tuple[Reservation | None, tuple[Reason, ...]]:
        """Hold an amount in every scope that has limits, in one transaction with other writes.

        Args:
            scopes: whose limits count.
            micros: what is held, in millionths of a dollar.
            create: returns the other writes, for the reservation that they record.
            only_budgets: whether neither requests a minute nor open jobs are counted and limited.

        Returns:
            The reservation; or None and the reasons of the other writes if the condition of one of them failed.

        Raises:
            BudgetExceeded: a budget has not enough left.
            LimitExceeded: too many requests or open jobs.
            Busy: other requests keep changing the same limits.
            StorageUnavailable: the table does not respond.
        """
        await self._learn(scope for scope in scopes if scope not in self._known)
        contended = Busy(_CONTENDED, retry_after=1)
        for _ in range(_MAX_TRIES):
            now = self._now()
            limits = {scope: item for scope in scopes if (item := self._known.get(scope))}
            reservation = Reservation(
                micros, {scope: item.at(now).period for scope, item in limits.items()}, only_budgets=only_budgets
            )
            others = create(reservation)
            holds = [self._hold(scope, item, micros, now, only_budgets) for scope, item in limits.items()]
            reasons = await self._table.transact(
                [*others, *holds], "The job was not stored", contended=contended if limits else None
            )
            if not reasons:
                self._known |= {scope: item.at(now) for scope, item in limits.items()}
                return reservation, ()
            if CONDITION_FAILED in reasons[: len(others)]:
                return None, reasons[: len(others)]
            for scope, reason in zip(limits, reasons[len(others) :], strict=True):
                if reason != CONDITION_FAILED:
                    continue
                if reason.item is None:
                    del self._known[scope]
                else:
                    self._known[scope] = known = LimitItem.parse(reason.item)
                    require_allowed(scope, known, micros, now, only_budgets=only_budgets)
        raise contended

    async def _learn(self, scopes: Iterable[str]) -> None:
        """Read the limits that this process does not know. That a scope has none is not remembered."""
        for scope in scopes:
            if item := await self._table.get(limits_key(scope), _NOT_READ):
                self._known[scope] = LimitItem.parse(item)

    def _hold(self, scope: str, known: LimitItem, micros: int, now: float, only_budgets: bool) -> Write:
        """Return the write that holds an amount, if the item is in the period and the minute that are known of it."""
        current = known.at(now)
        renewed, new_minute = current.period != known.period, current.minute != known.minute
        left = "#limit" if renewed else "remaining"
        sets = ["#period = :period", f"remaining = {left} - :amount"]
        conditions = ["kind = :kind", "#period = :known_period", f"{left} >= :amount"]
        names = {"#period": "period", **({"#limit": "limit"} if renewed else {})}
        values: dict[str, str | int] = {
            ":period": current.period,
            ":known_period": known.period,
            ":kind": known.kind,
            ":amount": micros,
        }
        if renewed:
            sets.append("notified = :zero")
            values[":zero"] = 0
        if not only_budgets:
            hits = ":one" if new_minute else "hits + :one"
            sets += ["#open = #open + :one", "#minute = :minute", f"hits = {hits}"]
            conditions += ["#minute = :known_minute", "#open < max_open", *([] if new_minute else ["hits < rate"])]
            names |= {"#open": "open", "#minute": "minute"}
            values |= {":one": 1, ":minute": current.minute, ":known_minute": known.minute}
        return self._update(scope, sets, conditions, values, names)

    def _update(
        self,
        scope: str,
        sets: Sequence[str],
        conditions: Sequence[str],
        values: Mapping[str, Any],
        names: Mapping[str, str],
    ) -> Write:
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": limits_key(scope),
                "UpdateExpression": "SET " + ", ".join(sets),
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeNames": dict(names),
                "ExpressionAttributeValues": to_values(values),
                **_RETURN_STORED_ITEM,
            }
        }

    async def settle(self, reservation: Reservation, charged: int, mark: Write, others: Sequence[Write] = ()) -> bool:
        """Return what was held for a job and not charged, once.

        Args:
            reservation: what was held.
            charged: what the job cost and what it may have cost, in millionths of a dollar.
            mark: marks the job as settled, on the condition that it is not.
            others: more writes of the same transaction.

        Returns:
            False if the job had been settled.

        Raises:
            Busy: other requests keep changing the same limits.
            StorageUnavailable: the table does not respond.
        """
        contended = Busy(_CONTENDED, retry_after=1)
        open_periods: dict[str, bool] = dict.fromkeys(reservation.periods, True)
        for _ in range(_MAX_TRIES):
            refunds = [
                self._refund(scope, reservation, charged, same_period=same) for scope, same in open_periods.items()
            ]
            reasons = await self._table.transact(
                [mark, *refunds, *others], "The job was not settled", contended=contended
            )
            if not reasons:
                return True
            if reasons[0] == CONDITION_FAILED:
                return False
            for scope, reason in zip([*open_periods], reasons[1:], strict=False):
                if reason != CONDITION_FAILED:
                    continue
                if reason.item is None:
                    # The limits of this scope were removed, together with its token.
                    del open_periods[scope]
                else:
                    open_periods[scope] = LimitItem.parse(reason.item).period == reservation.periods[scope]
        raise contended

    def _refund(self, scope: str, reservation: Reservation, charged: int, *, same_period: bool) -> Write:
        """Return the write that gives back what was not charged, where the budget is still in the job's period."""
        values: dict[str, str | int] = {":period": reservation.periods[scope]}
        names = {"#period": "period"}
        # One of the two is always set; an update must change something.
        sets = []
        if not reservation.only_budgets or not same_period:
            sets, names["#open"] = ["#open = #open - :closed"], "open"
            values[":closed"] = 0 if reservation.only_budgets else 1
        if same_period:
            sets.append("remaining = remaining + :refund")
            values[":refund"] = reservation.micros - charged
        condition = f"#period {'=' if same_period else '<>'} :period"
        return self._update(scope, sets, [condition], values, names)
