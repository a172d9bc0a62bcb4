"""Batch progress in the gateway's table.

`batch#{id}` is a batch. The numbers of its ended lines are in number sets, `batch#{id}#{group}`, with about a hundred
lines each. The groups that have ended completely are in a number set of the batch item itself. Adding a number that is
already in a set changes nothing, so that an end can be recorded any number of times. No transaction is needed, which
would fail when another worker writes the same item at the same moment.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from image_gateway.aws import Aws, ConditionFailed, Table
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

# An item with a set of 100 numbers fits into the 1 KB of one write unit.
_GROUP_SIZE = 100
_NOT_READ = "The batch cannot be read"
_NOT_STORED = "The batch was not stored"
# A batch outlives its jobs by longer than any message about them can stay in a queue.
_EXTRA_RETENTION_DAYS = 15


@dataclass(frozen=True, slots=True)
class Batch:
    """Progress of a batch.

    Attributes:
        id: the batch's id.
        results: the key of the results document, written or not.
        queued: number of jobs, in line order, that are in the table and in the queue.
        groups: number of jobs in each group of lines.
        ended: the groups whose jobs have all ended.
        given_up: why the remaining lines will not be queued; None if the batch was not given up.
        written: whether the results document is written.
    """

    id: str
    results: str
    queued: int
    groups: tuple[int, ...]
    ended: frozenset[int]
    given_up: str | None
    written: bool

    @property
    def jobs(self) -> int:
        """Number of lines that are jobs."""
        return sum(self.groups)

    @property
    def done(self) -> bool:
        """Whether all jobs have ended."""
        return all(size == 0 or group in self.ended for group, size in enumerate(self.groups))

    def group(self, line: int) -> int:
        """Return the group of a line. Neighboring lines often end together, so they are in different groups."""
        return line % len(self.groups)


class BatchStore:
    """Batch progress of one deployment, in its table.

    Each method raises `StorageUnavailable` if the table cannot be read or written.

    Args:
        aws: client for DynamoDB.
        settings: has the table's name and the retention of jobs in days.
        clock: returns seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._days = settings.job_retention_days + _EXTRA_RETENTION_DAYS
        self._clock = clock

    async def first_notified(self, notified_at: datetime, *identity: str) -> datetime:
        """Return when the first notification of a file's version arrived.

        Args:
            notified_at: the time of this notification; stored if it is the first.
            identity: the version's identity.
        """
        name = hashlib.sha256("\0".join(identity).encode()).hexdigest()
        stored = await self._set(f"file#{name}", "first_notified", {"S": notified_at.isoformat()}, once=True) or {}
        return datetime.fromisoformat(stored["first_notified"]["S"])

    async def get(self, batch_id: str) -> Batch | None:
        """Return the current state of a batch, or None if there is none of that id."""
        item = await self._table.get(_key(batch_id), _NOT_READ)
        return None if item is None else _read(batch_id, item)

    async def create(self, batch_id: str, results: str, lines: Iterable[int]) -> Batch:
        """Store a new batch unless it exists, and return it. `lines` are the numbers of the lines that are jobs."""
        numbers = list(lines)
        groups = [0] * -(-len(numbers) // _GROUP_SIZE)
        for number in numbers:
            groups[number % len(groups)] += 1
        item: dict[str, AttributeValueTypeDef] = {
            **_key(batch_id),
            "results": {"S": results},
            "queued": {"N": "0"},
            "groups": {"L": [{"N": str(size)} for size in groups]},
            "expires_at": self._expires_at(),
        }
        with suppress(ConditionFailed):
            await self._table.call("PutItem", _NOT_STORED, Item=item, ConditionExpression="attribute_not_exists(pk)")
        return await self.get(batch_id) or _read(batch_id, item)

    async def set_queued(self, batch_id: str, number: int) -> bool:
        """Record that the first `number` jobs are queued. A higher number that another delivery recorded is kept.

        Returns:
            False if the batch was given up, so that no more of its lines may be queued.
        """
        condition = "attribute_not_exists(given_up) AND queued < :value"
        if await self._set(batch_id, "queued", {"N": str(number)}, condition=condition) is not None:
            return True
        batch = await self.get(batch_id)
        return batch is not None and batch.given_up is None

    async def give_up(self, batch_id: str, reason: str) -> Batch | None:
        """Stop the queueing of a batch and return it; None if it does not exist. The first reason is kept."""
        stored = await self._set(batch_id, "given_up", {"S": reason}, condition="attribute_exists(pk)", once=True)
        return None if stored is None else _read(batch_id, stored)

    async def mark_ended(self, batch: Batch, lines: Iterable[int]) -> Batch:
        """Record that lines have ended, and return the batch's state after that."""
        groups: dict[int, list[int]] = {}
        for line in lines:
            groups.setdefault(batch.group(line), []).append(line)
        ended = []
        for group, numbers in groups.items():
            updated = await self._add(f"{batch.id}#{group}", numbers)
            if len(updated["ended"]["NS"]) == batch.groups[group]:
                ended.append(group)
        return _read(batch.id, await self._add(batch.id, ended)) if ended else batch

    async def mark_written(self, batch_id: str) -> None:
        """Record that the results document is written."""
        await self._set(batch_id, "written", {"BOOL": True})

    async def _set(
        self, name: str, attribute: str, value: "AttributeValueTypeDef", *, condition: str = "", once: bool = False
    ) -> dict[str, Any] | None:
        """Set an attribute; with `once`, keep an existing value. Return the item, or None if the condition fails."""
        new = "if_not_exists(#name, :value)" if once else ":value"
        return await self._update(name, attribute, value, f"SET expires_at = :expires_at, #name = {new}", condition)

    async def _add(self, name: str, numbers: Iterable[int]) -> dict[str, Any]:
        """Add numbers to the set `ended`, and return the item."""
        value: AttributeValueTypeDef = {"NS": [str(number) for number in numbers]}
        return await self._update(name, "ended", value, "SET expires_at = :expires_at ADD #name :value") or {}

    async def _update(
        self, name: str, attribute: str, value: "AttributeValueTypeDef", expression: str, condition: str = ""
    ) -> dict[str, Any] | None:
        """Update an item and return it, or None if the condition fails."""
        try:
            response = await self._table.call(
                "UpdateItem",
                _NOT_STORED,
                Key=_key(name),
                UpdateExpression=expression,
                ExpressionAttributeNames={"#name": attribute},
                ExpressionAttributeValues={":value": value, ":expires_at": self._expires_at()},
                ReturnValues="ALL_NEW",
                **({"ConditionExpression": condition} if condition else {}),
            )
        except ConditionFailed:
            return None
        attributes: dict[str, Any] = response["Attributes"]
        return attributes

    def _expires_at(self) -> "AttributeValueTypeDef":
        return {"N": str(int(self._clock() + self._days * 86_400))}


def _key(name: str) -> "dict[str, AttributeValueTypeDef]":
    return {"pk": {"S": f"batch#{name}"}}


def _read(batch_id: str, item: Any) -> Batch:
    return Batch(
        batch_id,
        item["results"]["S"],
        int(item["queued"]["N"]),
        tuple(int(size["N"]) for size in item["groups"]["L"]),
        frozenset(int(group) for group in item.get("ended", {"NS": ()})["NS"]),
        item["given_up"]["S"] if "given_up" in item else None,
        "written" in item,
    )
