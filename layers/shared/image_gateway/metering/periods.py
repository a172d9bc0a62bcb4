"""Periods of budgets, in UTC: a job is charged to the day on which it was accepted, and to its month.

Days are texts such as `2026-11-29`, whose order is that of time.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

DAY, MONTH, TOTAL = "day", "month", "total"
KINDS: Final = (DAY, MONTH, TOTAL)
"""How often a budget can renew: each day, each month, never."""
_MONTHS: Final = 12


def day_of(moment: float) -> str:
    """Return the day at `moment`, in seconds since 1970."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def period_name(kind: str, day: str) -> str:
    """Return the name of the period that a day is in: `2026-11-29`, `2026-11` or `total`."""
    return {DAY: day, MONTH: day[:7]}.get(kind, TOTAL)


def renewed_kinds(before: str, now: str) -> list[str]:
    """Return which kinds of periods have begun anew between two days."""
    return [kind for kind in KINDS if period_name(kind, before) != period_name(kind, now)]


def period_end(kind: str, day: str) -> datetime | None:
    """Return when the period that a day is in ends; None if it never does."""
    if kind not in (DAY, MONTH):
        return None
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    if kind == DAY:
        return midnight + timedelta(days=1)
    years, month = divmod(midnight.month, _MONTHS)
    return midnight.replace(year=midnight.year + years, month=month + 1, day=1)


def minute_of(moment: float) -> int:
    """Return the number of the minute since 1970."""
    return int(moment // 60)
