"""Periods of budgets, in UTC: a job is charged to the period in which it was accepted."""

from datetime import UTC, datetime, timedelta
from typing import Final

TOTAL: Final = "total"
_MONTHS: Final = 12


def period_name(kind: str, moment: float) -> str:
    """Return the name of the period at `moment`, in seconds since 1970: `2026-11-29`, `2026-11` or `total`."""
    if kind == TOTAL:
        return TOTAL
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d" if kind == "day" else "%Y-%m")


def period_end(kind: str, moment: float) -> datetime | None:
    """Return when the period at `moment` ends; None if it never does."""
    if kind == TOTAL:
        return None
    now = datetime.fromtimestamp(moment, UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "day":
        return midnight + timedelta(days=1)
    years, month = divmod(now.month, _MONTHS)
    return midnight.replace(year=now.year + years, month=month + 1, day=1)


def minute_of(moment: float) -> int:
    """Return the number of the minute since 1970."""
    return int(moment // 60)
