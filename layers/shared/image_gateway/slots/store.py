"""The slots of servers in the table: one item for each server, which only conditional updates change."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from image_gateway.aws import Aws, ConditionFailed, Table
from image_gateway.settings import Settings
from image_gateway.slots.occupancy import Holder, Occupancy

_NOT_TAKEN = "The slot cannot be taken"
_NOT_RENEWED = "The slot was not renewed"
_NOT_RELEASED = "The slot was not released"
_NOT_RESERVED = "attribute_not_exists(wanted_until) OR wanted_until < :now OR wanted_by = :owner"
_MAX_TRIES = 5
_KEPT_SECONDS = 30 * 86_400
"""How long the item of an unused server is kept, with what was learned about it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A slot that was taken.

    Attributes:
        occupancy: the server's slots, with this one.
        replaces_dead: whether a dead holder had the slot, whose job may still run on the server.
    """

    occupancy: Occupancy
    replaces_dead: bool


class SlotStore:
    """The slots of all servers of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self.now = now

    async def take(self, server: str, limit: int, holder: Holder, *, reserve: bool = True) -> Taken | Occupancy:
        """Take a slot. That is one write: if the server is full, its failure says who has the slots.

        A holder whose lease ran out is suspected first. Its slot can be taken after a probation, in which it did not
        renew its lease. If others have all slots, the next one is reserved for this owner, unless it is reserved for
        another: that is a second write.

        Args:
            server: the server.
            limit: how many jobs the server may run at once.
            holder: who takes the slot.
            reserve: whether the next slot may be reserved. A job that takes the first slot of several servers would
                keep the others from being used.

        Returns:
            The slot; or, if none is free, who has them.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        occupancy = Occupancy(())
        is_new = False
        for _ in range(_MAX_TRIES):
            dead = [other for other in occupancy.holders if other.is_dead(self.now())]
            try:
                return await (self._create(server, holder) if is_new else self._add(server, limit, holder, dead))
            except ConditionFailed as failed:
                is_new = failed.item is None
                occupancy = Occupancy(()) if failed.item is None else Occupancy.parse(failed.item)
            if any(other.id == holder.id for other in occupancy.holders):
                # The response to the first request was lost, and the request was sent again.
                return Taken(occupancy, bool(dead))
            alive = [other for other in occupancy.holders if not other.is_dead(self.now())]
            if not is_new and (len(alive) >= limit or occupancy.is_reserved(holder.owner, self.now())):
                await self._suspect(server, occupancy)
                return await self._reserve(server, holder.owner, occupancy) if reserve else occupancy
        return occupancy

    async def taken(self, servers: Sequence[str]) -> dict[str, int]:
        """Return how many slots of servers are taken, by one read. Servers that nobody has used are left out.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        keys = [{"pk": {"S": f"slots#{server}"}} for server in dict.fromkeys(servers)]
        items = await self._table.get_many(keys, "The slots cannot be read", consistent=False)
        now = self.now()
        return {
            item["pk"]["S"].removeprefix("slots#"): sum(
                not holder.is_expired(now) for holder in Occupancy.parse(item).holders
            )
            for item in items
        }

    async def renew(self, server: str, holder: Holder, job_seconds: float | None) -> Occupancy | None:
        """Renew the lease of a slot, and store what the holder has learned.

        Args:
            server: the server.
            holder: who has the slot, with its new lease.
            job_seconds: how long a job has a slot; None if the holder does not know.

        Returns:
            Who has the server's slots; None if the holder has lost its slot, because it was taken for dead.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        values = {":holder": holder.to_value(), ":expires": self._expiry()}
        learned = ""
        if job_seconds is not None:
            learned, values[":seconds"] = ", job_seconds = :seconds", _number(job_seconds)
        try:
            return await self._update(
                server,
                _NOT_RENEWED,
                update="SET holders.#holder = :holder, expires_at = :expires" + learned,
                condition="attribute_exists(holders.#holder)",
                names={"#holder": holder.id},
                values=values,
            )
        except ConditionFailed:
            return None

    async def release(self, server: str, holder_id: str, job_seconds: float) -> None:
        """Release a slot, and store how long a job has a slot. Nothing happens if the holder has lost it.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        with suppress(ConditionFailed):
            await self._update(
                server,
                _NOT_RELEASED,
                update="SET job_seconds = :seconds REMOVE holders.#holder",
                condition="attribute_exists(holders.#holder)",
                names={"#holder": holder_id},
                values={":seconds": _number(job_seconds)},
            )

    async def _create(self, server: str, holder: Holder) -> Taken:
        occupancy = await self._update(
            server,
            _NOT_TAKEN,
            update="SET holders = :holders, expires_at = :expires",
            condition="attribute_not_exists(holders)",
            names={},
            values={":holders": {"M": {holder.id: holder.to_value()}}, ":expires": self._expiry()},
        )
        return Taken(occupancy, replaces_dead=False)

    async def _add(self, server: str, limit: int, holder: Holder, dead: Sequence[Holder]) -> Taken:
        """Add a holder, and remove dead ones, unless one of those has renewed its lease."""
        removed = "".join(f", holders.#dead{n}" for n in range(len(dead)))
        still_dead = "".join(f" AND holders.#dead{n}.suspected_at = :suspected{n}" for n in range(len(dead)))
        occupancy = await self._update(
            server,
            _NOT_TAKEN,
            update=f"SET holders.#holder = :holder, expires_at = :expires REMOVE wanted_by, wanted_until{removed}",
            condition=f"attribute_exists(holders) AND size(holders) < :room AND ({_NOT_RESERVED}){still_dead}",
            names={"#holder": holder.id} | {f"#dead{n}": other.id for n, other in enumerate(dead)},
            values={
                ":holder": holder.to_value(),
                ":expires": self._expiry(),
                ":room": {"N": str(limit + len(dead))},
                ":owner": {"S": holder.owner},
                ":now": _number(self.now()),
            }
            | {f":suspected{n}": _number(other.suspected_at or 0.0) for n, other in enumerate(dead)},
        )
        return Taken(occupancy, bool(dead))

    async def _suspect(self, server: str, occupancy: Occupancy) -> None:
        """Mark holders whose lease ran out. One that renews its lease is no longer marked."""
        expired = [other for other in occupancy.holders if other.suspected_at is None and other.is_expired(self.now())]
        if not expired:
            return
        with suppress(ConditionFailed):
            await self._update(
                server,
                _NOT_TAKEN,
                update=f"SET {', '.join(f'holders.#other{n}.suspected_at = :now' for n in range(len(expired)))}",
                condition=" AND ".join(f"holders.#other{n}.lease_until = :until{n}" for n in range(len(expired))),
                names={f"#other{n}": other.id for n, other in enumerate(expired)},
                values={":now": _number(self.now())}
                | {f":until{n}": _number(other.lease_until) for n, other in enumerate(expired)},
            )

    async def _reserve(self, server: str, owner: str, occupancy: Occupancy) -> Occupancy:
        """Reserve the next slot for an owner who has none, and return the new occupancy; else the given one."""
        reserved = occupancy.reservation(owner, self.now())
        if reserved is None:
            return occupancy
        try:
            return await self._update(
                server,
                _NOT_TAKEN,
                update="SET wanted_by = :owner, wanted_until = :until",
                condition=f"attribute_exists(holders) AND ({_NOT_RESERVED})",
                names={},
                values={
                    ":owner": {"S": owner},
                    ":until": _number(reserved.wanted_until),
                    ":now": _number(self.now()),
                },
            )
        except ConditionFailed:
            return occupancy

    async def _update(
        self, server: str, failure: str, *, update: str, condition: str, names: dict[str, str], values: dict[str, Any]
    ) -> Occupancy:
        """Update a server's item, and return its new occupancy.

        Raises:
            ConditionFailed: the condition does not hold; its item is the stored one, or None if there is none.
            StorageUnavailable: the table does not respond.
        """
        response = await self._table.call(
            "UpdateItem",
            failure,
            Key={"pk": {"S": f"slots#{server}"}},
            UpdateExpression=update,
            ConditionExpression=condition,
            **({"ExpressionAttributeNames": names} if names else {}),
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return Occupancy.parse(response["Attributes"])

    def _expiry(self) -> dict[str, str]:
        return {"N": str(int(self.now() + _KEPT_SECONDS))}


def _number(value: float) -> dict[str, str]:
    return {"N": f"{value:.3f}"}
