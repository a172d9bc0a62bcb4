"""Reports of usage: items of the table, grouped, as rows and as CSV."""

import csv
import io
from collections.abc import AsyncIterable, Collection, Iterable, Mapping, Sequence
from typing import Any

from image_gateway.metering.scopes import TOKENS
from image_gateway.metering.usage import UsageCounts, UsageKey
from image_gateway.models.money import from_micros
from image_gateway.models.usage import GroupBy, UsageRow

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell may not begin with: spreadsheets would calculate it. Source: OWASP, CSV injection."""
_BYTE_ORDER_MARK = "\ufeff"


async def grouped(
    items: AsyncIterable[tuple[UsageKey, UsageCounts]],
    group_by: Sequence[GroupBy],
    *,
    owner: str | None = None,
    end_users: Collection[str] = (),
) -> list[UsageRow]:
    """Return one row for each group, in the order of the groups' values.

    Args:
        items: what the table has.
        group_by: what to group by; nothing: one row for everything.
        owner: only usage of this owner; None for all.
        end_users: only usage of these labels; empty for all. The items are those of end users.
    """
    totals: dict[tuple[str, ...], UsageCounts] = {}
    async for key, counts in items:
        if owner in (None, key.owner) and (not end_users or key.end_user in end_users):
            totals.setdefault(tuple(_value(key, name) for name in group_by), UsageCounts()).add(counts)
    if not group_by and not totals:
        totals[()] = UsageCounts()
    return [_row(dict(zip(group_by, group, strict=True)), totals[group]) for group in sorted(totals)]


def with_token_names(rows: Iterable[UsageRow], names: Mapping[str, str]) -> list[UsageRow]:
    """Return rows that are grouped by tokens with their names, of those tokens that have one here, by their ids."""
    return [row.model_copy(update={"token_name": names.get(row.token or "")}) for row in rows]


def to_csv(rows: Sequence[UsageRow], group_by: Sequence[GroupBy]) -> str:
    """Return rows as CSV (RFC 4180), with a byte order mark so that spreadsheets read it as UTF-8."""
    columns = [*group_by, *(["token_name"] if "token" in group_by else [])]
    columns += ["requests", "images", "failures", "usd", "uncertain_usd"]
    text = io.StringIO(_BYTE_ORDER_MARK)
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        values = row.model_dump(mode="json")
        writer.writerow([_cell(values[name]) for name in columns])
    return text.getvalue()


def _value(key: UsageKey, name: GroupBy) -> str:
    if name == "token":
        return key.owner.removeprefix(TOKENS)
    return str(getattr(key, name))


def _row(group: dict[str, Any], counts: UsageCounts) -> UsageRow:
    return UsageRow(
        **group,
        requests=counts.requests,
        images=counts.images,
        failures=counts.failures,
        usd=from_micros(counts.micros),
        uncertain_usd=from_micros(counts.uncertain_micros),
    )


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
