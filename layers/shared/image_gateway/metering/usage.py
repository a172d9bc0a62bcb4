"""Usage by day in a table of its own: one item for a day, an owner, a connection and a model, which is only added to.

Jobs for an end user are added to a second item, for a day, an owner and that end user. The partition key is a month, so
that a report of a month is one query. An index has the items of each end user, which can then be forgotten.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, unquote

from image_gateway.aws import Aws, Remaining, Table
from image_gateway.metering.limit_item import to_values
from image_gateway.settings import Settings

RETENTION_DAYS: Final = 400
BY_END_USER: Final = "by-end-user"
_COUNTS: Final = ("requests", "images", "failures", "micros", "uncertain_micros")
_NOT_READ = "The usage cannot be read"
_NOT_DELETED = "The usage was not deleted"
_MAX_PART_BYTES: Final = 300
_HASH_DIGITS: Final = 16
_MAX_DELETIONS: Final = 25
"""How many items are deleted at the same time."""


@dataclass(frozen=True, slots=True)
class UsageKey:
    """What usage is counted by. Items of end users have neither a connection nor a model; others have no end user."""

    day: date
    owner: str
    connection: str = ""
    model: str = ""
    end_user: str = ""


@dataclass(slots=True)
class UsageCounts:
    """Counts, and amounts in millionths of a dollar."""

    requests: int = 0
    images: int = 0
    failures: int = 0
    micros: int = 0
    uncertain_micros: int = 0

    def add(self, other: "UsageCounts") -> None:
        """Add other counts to these."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class UsageTable:
    """The usage of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._table = Table(aws, settings.usage_table)

    def writes(self, key: UsageKey, counts: UsageCounts) -> list[Mapping[str, Any]]:
        """Return the writes that add a job's usage, for a transaction: one, and one more for an end user."""
        keys = [UsageKey(key.day, key.owner, key.connection, key.model)]
        if key.end_user:
            keys.append(UsageKey(key.day, key.owner, end_user=key.end_user))
        return [self._add(each, counts) for each in keys]

    def _add(self, key: UsageKey, counts: UsageCounts) -> Mapping[str, Any]:
        added = {name: getattr(counts, name) for name in _COUNTS if getattr(counts, name)}
        expires = datetime(key.day.year, key.day.month, key.day.day, tzinfo=UTC) + timedelta(days=RETENTION_DAYS)
        names = {f"#{name}": name for name in added}
        labels = {"end_user": key.end_user} if key.end_user else {}
        sets = "".join(f", {name} = :{name}" for name in labels)
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": _item_key(key),
                "UpdateExpression": f"SET expires_at = :expires{sets} "
                f"ADD {', '.join(f'#{name} :{name}' for name in added)}",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": to_values(
                    {
                        ":expires": int(expires.timestamp()),
                        **{f":{name}": value for name, value in (added | labels).items()},
                    }
                ),
            }
        }

    async def read(
        self, first: date, last: date, *, end_users: bool = False
    ) -> AsyncIterator[tuple[UsageKey, UsageCounts]]:
        """Yield the items of a range of days, both included; with `end_users`, those of end users instead.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        for month in _months(first, last):
            start: Any = None
            while True:
                response = await self._table.call(
                    "Query",
                    _NOT_READ,
                    KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                    ExpressionAttributeValues=to_values(
                        # A tilde comes after the number sign that follows the day.
                        {":pk": _partition(month, end_users=end_users), ":first": f"{first}#", ":last": f"{last}~"}
                    ),
                    **({"ExclusiveStartKey": start} if start else {}),
                )
                for item in response["Items"]:
                    yield _parse(item)
                start = response.get("LastEvaluatedKey")
                if not start:
                    break

    async def forget_end_user(self, end_user: str, remaining: Remaining) -> tuple[int, bool]:
        """Delete the items of an end user.

        Args:
            end_user: the label of the end user.
            remaining: returns the seconds that are left. After that, the rest is left for another call.

        Returns:
            The number of items that were deleted, and whether these were all.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        deleted = 0
        start: Any = None
        while True:
            response = await self._table.call(
                "Query",
                _NOT_READ,
                IndexName=BY_END_USER,
                KeyConditionExpression="end_user = :end_user",
                ExpressionAttributeValues=to_values({":end_user": end_user}),
                Limit=_MAX_DELETIONS,
                **({"ExclusiveStartKey": start} if start else {}),
            )
            keys = [{"pk": item["pk"], "sk": item["sk"]} for item in response["Items"]]
            await asyncio.gather(*(self._table.call("DeleteItem", _NOT_DELETED, Key=key) for key in keys))
            deleted += len(keys)
            start = response.get("LastEvaluatedKey")
            if not start:
                return deleted, True
            if remaining() <= 0:
                return deleted, False


def _partition(month: str, *, end_users: bool) -> str:
    return f"{'end-users' if end_users else 'usage'}#{month}"


def _months(first: date, last: date) -> list[str]:
    days = (last - first).days + 1
    return [*dict.fromkeys(f"{first + timedelta(days=number):%Y-%m}" for number in range(days))]


def _item_key(key: UsageKey) -> dict[str, Any]:
    parts = [key.owner, key.end_user] if key.end_user else [key.owner, key.connection, key.model]
    sort_key = "#".join([str(key.day), *(_key_part(part) for part in parts)])
    return to_values({"pk": _partition(f"{key.day:%Y-%m}", end_users=bool(key.end_user)), "sk": sort_key})


def _key_part(name: str) -> str:
    """Return a name as part of a sort key. It may contain any character: quoted, none of them is a number sign.

    A sort key holds 1,024 bytes, and a quoted character takes up to twelve. So a long name is cut, and what makes it
    unique is its hash. A key that is too long would be refused, and its job could never be settled.
    """
    if len(quoted := quote(name, safe="")) <= _MAX_PART_BYTES:
        return quoted
    beginning = name
    while len(quote(beginning, safe="")) > _MAX_PART_BYTES - _HASH_DIGITS - 1:
        beginning = beginning[:-1]
    return quote(f"{beginning}~{hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]}", safe="")


def _parse(item: Mapping[str, Any]) -> tuple[UsageKey, UsageCounts]:
    day, owner, *rest = item["sk"]["S"].split("#")
    names = [unquote(part) for part in rest]
    of_end_users = item["pk"]["S"].startswith("end-users#")
    key = UsageKey(
        date.fromisoformat(day),
        unquote(owner),
        **({"end_user": names[0]} if of_end_users else {"connection": names[0], "model": names[1]}),
    )
    return key, UsageCounts(**{name: int(item[name]["N"]) for name in _COUNTS if name in item})
