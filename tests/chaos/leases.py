"""The leases, slots and locks that processes took, and what happens to those that are left.

On AWS they expire while the job's message is invisible. Here a lease and a slot expire as soon as their invocation has
ended, and a lock as soon as its process is dead. None expires before: its holder may rely on it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.aws_clients import aws_client
from tests.chaos.proxy import AwsRequest
from tests.chaos.senders import is_alive

_JOB = re.compile(rb'"pk":\{"S":"(job#[^"]+)"\}')
_LEASE_HOLDER = re.compile(rb'"lease_holder":\{"S":"([^"]+)"\}')
_LOCK = re.compile(rb'"pk":\{"S":"(lock#[^"]+)"\},"holder":\{"S":"([^"]+)"\}')
_SLOTS = re.compile(rb'"pk":\{"S":"(slots#[^"]+)"\}')
_SLOT_HOLDER = re.compile(rb'"(?:#holder":|:holders":\{"M":\{)"([0-9a-f]{32})"')
_WRITES = ("PutItem", "TransactWriteItems")


@dataclass(frozen=True)
class Hold:
    """A lease, a slot or a lock that a process took, or tried to take.

    Attributes:
        pid: the process.
        key: the item's key.
        holder: the name of the holder in the item.
    """

    pid: int
    key: str
    holder: str

    @property
    def is_lease(self) -> bool:
        """Whether this is the lease of a job."""
        return self.key.startswith("job#")

    @property
    def is_slot(self) -> bool:
        """Whether this is a slot of a server."""
        return self.key.startswith("slots#")

    def expiry(self) -> dict[str, Any]:
        """Return the update that lets this expire, unless somebody else holds it by now."""
        past = {":past": {"N": "1"}}
        if self.is_slot:
            return {
                "UpdateExpression": "SET holders.#holder.lease_until = :past, holders.#holder.suspected_at = :past",
                "ConditionExpression": "attribute_exists(holders.#holder)",
                "ExpressionAttributeNames": {"#holder": self.holder},
                "ExpressionAttributeValues": past,
            }
        until, holder = ("lease_until", "lease_holder") if self.is_lease else ("expires_at", "holder")
        return {
            "UpdateExpression": f"SET {until} = :past",
            "ConditionExpression": f"{holder} = :holder",
            "ExpressionAttributeValues": {**past, ":holder": {"S": self.holder}},
        }


class Leases:
    """Leases, slots and locks by their processes.

    Args:
        table: the gateway's table.
        busy: returns the processes that handle an event now.

    Attributes:
        interrupted: ids of the jobs whose holder died before the job's end was recorded.
    """

    def __init__(self, table: str, busy: Callable[[], Iterable[int]]) -> None:
        self._table = table
        self._busy = busy
        self._dynamodb = aws_client("dynamodb")
        self._holds: dict[tuple[str, str], Hold] = {}
        self.interrupted: set[str] = set()

    def observe(self, request: AwsRequest) -> bool:
        """Remember the lease, the slot or the lock that a request takes."""
        if request.call and request.call.operation in _WRITES:
            job, holder = _JOB.search(request.body), _LEASE_HOLDER.search(request.body)
            if job and holder:
                self._add(Hold(request.pid, job[1].decode(), holder[1].decode()))
            for key, lock_holder in _LOCK.findall(request.body):
                self._add(Hold(request.pid, key.decode(), lock_holder.decode()))
        elif request.call and request.call.operation == "UpdateItem":
            slots, holder = _SLOTS.search(request.body), _SLOT_HOLDER.search(request.body)
            if slots and holder:
                self._add(Hold(request.pid, slots[1].decode(), holder[1].decode()))
        return False

    def expire(self) -> None:
        """Let everything expire that nobody can rely on any more."""
        holds = list(self._holds.items())
        # Only now, so that no hold is newer than this.
        busy = set(self._busy())
        for name, hold in holds:
            if not is_alive(hold.pid) or ((hold.is_lease or hold.is_slot) and hold.pid not in busy):
                self._holds.pop(name, None)
                self._expire(hold)

    def _add(self, hold: Hold) -> None:
        self._holds[hold.key, hold.holder] = hold

    def _expire(self, hold: Hold) -> None:
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"pk": {"S": hold.key}},
                **hold.expiry(),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
        else:
            if hold.is_lease and not is_alive(hold.pid):
                self.interrupted.add(hold.key.removeprefix("job#"))
