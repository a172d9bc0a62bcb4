"""How far batches are, in the gateway's table.

`batch#{id}` is a batch. Which of its lines have ended is in sets of their numbers, `batch#{id}#{group}`, about a
hundred lines each, and which groups have ended is in a set of the batch itself. To put into a set what is in it changes
nothing. It takes no transaction either, which would fail for others that write the same item at that moment.
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

# A set of so many numbers is no longer than the kilobyte that a write is billed by.
_GROUP = 100
_NOT_READ = "The batch cannot be read"
_NOT_STORED = "The batch was not stored"
# Longer than any message of its jobs can be on its way.
_FURTHER_DAYS = 15


@dataclass(frozen=True, slots=True)
class Batch:
    """How far a batch is.

    Attributes:
        id: of the batch.
        results: the key that its results have, or will have.
        queued: how many of its jobs, in the order of their lines, are in the table and in the queue.
        groups: how many jobs each group of lines has.
        ended: the groups whose jobs have all ended.
        given_up: why no more of its lines are queued, where that is so.
        written: whether the results are there.
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
        """How many lines are jobs."""
        return sum(self.groups)

    @property
    def done(self) -> bool:
        """Whether all jobs have ended."""
        return all(size == 0 or group in self.ended for group, size in enumerate(self.groups))

    def group(self, line: int) -> int:
        """The group that a line belongs to. Neighbours, which often end together, belong to different ones."""
        return line % len(self.groups)


class BatchStore:
    """Batches of one deployment, in its table.

    Each method raises `StorageUnavailable` where the table does not answer.

    Args:
        aws: DynamoDB.
        settings: names the table, and how many days a job is remembered.
        clock: seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._days = settings.job_retention_days + _FURTHER_DAYS
        self._clock = clock

    async def first_told(self, moment: datetime, *identity: str) -> datetime:
        """When a version of a file was first told of: at `moment`, unless it was before."""
        name = hashlib.sha256("\0".join(identity).encode()).hexdigest()
        kept = await self._set(f"file#{name}", "first_told", {"S": moment.isoformat()}, once=True) or {}
        return datetime.fromisoformat(kept["first_told"]["S"])

    async def get(self, batch_id: str) -> Batch | None:
        """The batch of that id, as it is now."""
        found = await self._table.get(_key(batch_id), _NOT_READ)
        return None if found is None else _read(batch_id, found)

    async def create(self, batch_id: str, results: str, lines: Iterable[int]) -> Batch:
        """Store a new batch, unless it is there; `lines` are the numbers of those that are jobs."""
        numbers = list(lines)
        groups = [0] * -(-len(numbers) // _GROUP)
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

    async def queued(self, batch_id: str, number: int) -> bool:
        """Note that so many jobs are queued, unless another who was told of the same file is further.

        Returns:
            False if the batch was given up: no more of it is to be queued.
        """
        condition = "attribute_not_exists(given_up) AND queued < :value"
        if await self._set(batch_id, "queued", {"N": str(number)}, condition=condition) is not None:
            return True
        batch = await self.get(batch_id)
        return batch is not None and batch.given_up is None

    async def give_up(self, batch_id: str, reason: str) -> Batch | None:
        """Have no more lines of a batch queued; None where it has not begun. The first reason stays."""
        kept = await self._set(batch_id, "given_up", {"S": reason}, condition="attribute_exists(pk)", once=True)
        return None if kept is None else _read(batch_id, kept)

    async def count_off(self, batch: Batch, lines: Iterable[int]) -> Batch:
        """Note that lines have ended; gives the batch as it is then."""
        groups: dict[int, list[int]] = {}
        for line in lines:
            groups.setdefault(batch.group(line), []).append(line)
        ended = []
        for group, numbers in groups.items():
            counted = await self._add(f"{batch.id}#{group}", numbers)
            if len(counted["ended"]["NS"]) == batch.groups[group]:
                ended.append(group)
        return _read(batch.id, await self._add(batch.id, ended)) if ended else batch

    async def written(self, batch_id: str) -> None:
        """Note that the results are there."""
        await self._set(batch_id, "written", {"BOOL": True})

    async def _set(
        self, name: str, attribute: str, value: "AttributeValueTypeDef", *, condition: str = "", once: bool = False
    ) -> dict[str, Any] | None:
        """Set an attribute, or with `once` leave the value that it has; gives the item, None if the condition fails."""
        new = "if_not_exists(#name, :value)" if once else ":value"
        return await self._update(name, attribute, value, f"SET expires_at = :expires_at, #name = {new}", condition)

    async def _add(self, name: str, numbers: Iterable[int]) -> dict[str, Any]:
        """Put numbers into the set of those that have ended; gives the item."""
        value: AttributeValueTypeDef = {"NS": [str(number) for number in numbers]}
        return await self._update(name, "ended", value, "SET expires_at = :expires_at ADD #name :value") or {}

    async def _update(
        self, name: str, attribute: str, value: "AttributeValueTypeDef", expression: str, condition: str = ""
    ) -> dict[str, Any] | None:
        """The item after an update; None where the condition does not hold."""
        try:
            answer = await self._table.call(
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
        attributes: dict[str, Any] = answer["Attributes"]
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
