"""The ledger: what limits leave, held for a job when it is created and settled after its end.

A reservation is part of the transaction that creates the job, so there is neither a job without its reservation nor a
reservation without its job. The settlement is a transaction with a mark on the job's item: it is executed once, however
often it is tried.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from image_gateway.aws import CONDITION_FAILED, Aws, Item, Reason, Table
from image_gateway.errors import Busy, InvalidToken
from image_gateway.metering.end_user_limits import hold_for_end_user, item_of_end_user
from image_gateway.metering.limit_item import UNLIMITED, LimitItem, limits_key
from image_gateway.metering.limit_writes import Write, give_back, hold
from image_gateway.metering.refusals import require_allowed
from image_gateway.metering.scopes import TOKENS, is_end_user, token_scope
from image_gateway.settings import Settings

__all__ = ["Ledger", "Reservation", "Write"]

_NOT_READ = "The limits cannot be read"
_CONTENDED = "Too many requests change the same limits at the same time"
_REVOKED = "The token was revoked"
_MAX_TRIES: Final = 6
_MAX_KNOWN: Final = 2_000


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held for a job.

    Attributes:
        micros: millionths of a dollar.
        periods: the day that is charged, and the series of the limits, by the name of each scope: see
            `LimitItem.charge`.
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
        now: returns the time in seconds since 1970. The clocks of two processes may differ.
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
            InvalidToken: the limits of a token do not exist, because it was revoked.
            BudgetExceeded: a budget has not enough left.
            LimitExceeded: too many requests or open jobs.
            Busy: other requests keep changing the same limits.
            StorageUnavailable: the table does not respond.
        """
        contended = Busy(_CONTENDED, retry_after=1)
        for _ in range(_MAX_TRIES):
            await self._learn(scope for scope in scopes if scope not in self._known)
            now = self._now()
            limits = await self._enough_for_end_users(self._limits(scopes, now), scopes, micros, now)
            periods = {scope: item.at(now).charge for scope, item in limits.items()}
            reservation = Reservation(micros, periods, only_budgets=only_budgets)
            others = create(reservation)
            holds = [
                self._hold(scope, item, micros, now, only_budgets=only_budgets, scopes=scopes)
                for scope, item in limits.items()
            ]
            reasons = await self._table.transact(
                [*others, *holds], "The job was not stored", contended=contended if limits else None
            )
            if not reasons:
                for scope, item in limits.items():
                    self._remember(scope, item.at(now))
                return reservation, ()
            if CONDITION_FAILED in reasons[: len(others)]:
                return None, reasons[: len(others)]
            failed = [
                (scope, reason.item)
                for scope, reason in zip(limits, reasons[len(others) :], strict=True)
                if reason == CONDITION_FAILED
            ]
            self._learn_from(failed)
            # Only now, because what an end user may spend is known from the item of its token.
            self._require_allowed(self._limits(scopes, now), dict(failed), micros, now, only_budgets=only_budgets)
        raise contended

    async def _enough_for_end_users(
        self, limits: dict[str, LimitItem], scopes: Sequence[str], micros: int, now: float
    ) -> dict[str, LimitItem]:
        """Return the limits, of which no whole budget of an end user is less than the amount.

        No condition of a write says that, because the budget of an end user is not in its own item. What is known of
        it may be old, so it is read again before the request is refused.

        Raises:
            BudgetExceeded: the budget is less.
        """
        too_small = [scope for scope, item in limits.items() if is_end_user(scope) and item.limit < micros]
        if not too_small:
            return limits
        for scope in too_small:
            self._known.pop(scope, None)
            self._known.pop(token_scope(scope), None)
        await self._learn(scope for scope in scopes if scope not in self._known)
        limits = self._limits(scopes, now)
        self._require_allowed(limits, too_small, micros, now)
        return limits

    def _learn_from(self, failed: Iterable[tuple[str, Item | None]]) -> None:
        """Remember items that are not as they were known."""
        for scope, item in failed:
            self._known.pop(scope, None)
            if item is not None:
                self._known[scope] = LimitItem.parse(item)

    def _require_allowed(
        self,
        limits: Mapping[str, LimitItem],
        scopes: Iterable[str],
        micros: int,
        now: float,
        *,
        only_budgets: bool = False,
    ) -> None:
        """Raise the error of the first of these limits that refuses a request. Unknown ones refuse nothing."""
        for scope in scopes:
            if item := limits.get(scope):
                require_allowed(scope, item, micros, now, only_budgets=only_budgets)

    def _limits(self, scopes: Sequence[str], now: float) -> dict[str, LimitItem]:
        """Return the limits of those scopes that have any, as far as this process knows them."""
        limits = {}
        for scope in scopes:
            item = self._known.get(scope)
            if is_end_user(scope):
                token = self._known.get(token_scope(scope))
                item = item_of_end_user(item, token.at(now)) if token else None
            if item:
                limits[scope] = item
        return limits

    def _hold(
        self, scope: str, item: LimitItem, micros: int, now: float, *, only_budgets: bool, scopes: Sequence[str]
    ) -> Write:
        if is_end_user(scope):
            return hold_for_end_user(self._table.name, scope, item, micros, now, stored=self._known.get(scope))
        for_end_user = any(is_end_user(each) and token_scope(each) == scope for each in scopes)
        return hold(self._table.name, scope, item, micros, now, only_budgets=only_budgets, for_end_user=for_end_user)

    async def _learn(self, scopes: Iterable[str]) -> None:
        """Read the limits that this process does not know, of tokens before those of their end users.

        That a scope has none is not remembered.

        Raises:
            InvalidToken: a token has none. A request counts in a token's scope only if the token has limits, and only
                its revocation removes them. Without this, a cached token would be unlimited as soon as it is revoked.
        """
        for scope in scopes:
            token = self._known.get(token_scope(scope)) if is_end_user(scope) else None
            if token and token.end_user_limit >= UNLIMITED:
                continue
            if item := await self._table.get(limits_key(scope), _NOT_READ):
                self._known[scope] = LimitItem.parse(item)
            elif scope.startswith(TOKENS):
                raise InvalidToken(_REVOKED)

    def _remember(self, scope: str, item: LimitItem) -> None:
        """Remember an item, unless another request of this process has learned of a later one."""
        if len(self._known) >= _MAX_KNOWN:
            # There may be any number of end users.
            self._known.clear()
        known = self._known.get(scope, item)
        if known.series == item.series and (known.day, known.minute) <= (item.day, item.minute):
            self._known[scope] = item

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
        closed = 0 if reservation.only_budgets else 1
        days = {scope: charge.partition("#")[0] for scope, charge in reservation.periods.items()}
        for _ in range(_MAX_TRIES):
            refunds = {
                scope: write
                for scope, day in days.items()
                if (
                    write := give_back(
                        self._table.name,
                        scope,
                        reservation.periods[scope],
                        day,
                        reservation.micros - charged,
                        closed=closed,
                    )
                )
            }
            reasons = await self._table.transact(
                [mark, *refunds.values(), *others], "The job was not settled", contended=contended
            )
            if not reasons:
                return True
            if reasons[0] == CONDITION_FAILED:
                return False
            for scope, reason in zip(refunds, reasons[1:], strict=False):
                if reason != CONDITION_FAILED:
                    continue
                item = LimitItem.parse(reason.item) if reason.item else None
                if item is None or item.series != reservation.periods[scope].partition("#")[2]:
                    # The limits that the job was accepted with were removed.
                    del days[scope]
                else:
                    days[scope] = item.day
        raise contended
