"""Locks in the table, for writers of things that have no compare-and-swap."""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from image_gateway.aws.client import Aws
from image_gateway.aws.table import ConditionFailed, Table
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30
"""A holder that has not let go by then is taken for dead."""
MAX_WAIT_SECONDS = 15.0


class Locks:
    """Named locks, each an item that one conditional put makes and one conditional delete removes.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: seconds since 1970.
        sleep: waits, in seconds.
    """

    def __init__(
        self,
        aws: Aws,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._table = Table(aws, settings.table)
        self._now = now
        self._sleep = sleep

    @asynccontextmanager
    async def hold(
        self,
        name: str,
        *,
        slots: int = 1,
        lease_seconds: float = LEASE_SECONDS,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> AsyncIterator[None]:
        """Hold the lock `name` while the block runs; waits for its turn.

        Args:
            name: what is locked.
            slots: how many may hold it at once.
            lease_seconds: a holder that has not let go by then is taken for dead.
            max_wait_seconds: how long to wait for a place.

        Raises:
            Busy: others held it all the while.
            StorageUnavailable: the table cannot be written.
        """
        holder = uuid.uuid4().hex
        give_up = self._now() + max_wait_seconds
        wait = 0.02
        while (slot := await self._slot(name, slots, holder, lease_seconds)) is None:
            if self._now() > give_up:
                raise Busy(f"The {name} is held by others: try again", retry_after=1)
            await self._sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            wait = min(wait * 1.5, 0.5)
        try:
            yield
        finally:
            await self._release(slot, holder)

    async def _slot(self, name: str, slots: int, holder: str, seconds: float) -> str | None:
        for number in range(slots):
            slot = f"{name}#{number}" if slots > 1 else name
            if await self._take(slot, holder, seconds):
                return slot
        return None

    async def _take(self, name: str, holder: str, seconds: float) -> bool:
        now = self._now()
        try:
            await self._table.call(
                "PutItem",
                "The lock cannot be taken",
                Item={
                    "pk": {"S": f"lock#{name}"},
                    "holder": {"S": holder},
                    "expires_at": {"N": str(int(now + seconds))},
                },
                # Where the response to this was lost, it is sent again, and finds that this holder has the lock.
                ConditionExpression="attribute_not_exists(pk) OR expires_at < :now OR holder = :holder",
                ExpressionAttributeValues={":now": {"N": str(int(now))}, ":holder": {"S": holder}},
            )
        except ConditionFailed:
            return False
        return True

    async def _release(self, name: str, holder: str) -> None:
        try:
            await self._table.call(
                "DeleteItem",
                "The lock was not released",
                Key={"pk": {"S": f"lock#{name}"}},
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues={":holder": {"S": holder}},
            )
        # The work under the lock is done and the lock expires by itself: an error now would report a write that
        # succeeded as failed.
        except ConditionFailed:
            logger.warning("a lock outlived its lease", extra={"lock": name})
        except StorageUnavailable:
            logger.warning("a lock was not released and expires by itself", extra={"lock": name})
