"""Locks in the table, for data that has no compare-and-swap."""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from image_gateway.aws.client import Aws
from image_gateway.aws.deadlines import time_limit, time_limit_factor
from image_gateway.aws.table import ConditionFailed, Table
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30
"""After this time, a lock that was not released is free."""
MAX_WAIT_SECONDS = 15.0
_MAX_RELEASE_SECONDS = 2.0


class Locks:
    """Named locks. A lock is an item, created by a conditional put and removed by a conditional delete.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: returns the time in seconds since 1970.
        sleep: waits for a number of seconds.
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
    async def hold(self, name: str, *, max_wait_seconds: float = MAX_WAIT_SECONDS) -> AsyncIterator[None]:
        """Acquire the lock `name`, hold it while the block runs, and release it.

        Args:
            name: what is locked.
            max_wait_seconds: how long to wait for the lock, times `AWS_TIME_LIMIT_FACTOR`.

        Raises:
            Busy: the lock was not released in time.
            StorageUnavailable: the table cannot be written.
        """
        holder = uuid.uuid4().hex
        deadline = self._now() + max_wait_seconds * time_limit_factor()
        wait = 0.02
        while not await self._try_acquire(name, holder):
            if self._now() > deadline:
                raise Busy(f"The {name} is held by others: try again", retry_after=1)
            await self._sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            wait = min(wait * 1.5, 0.5)
        try:
            yield
        finally:
            await self._release(name, holder)

    async def _try_acquire(self, name: str, holder: str) -> bool:
        now = self._now()
        try:
            await self._table.call(
                "PutItem",
                "The lock cannot be acquired",
                Item={
                    "pk": {"S": f"lock#{name}"},
                    "holder": {"S": holder},
                    "expires_at": {"N": str(int(now + LEASE_SECONDS))},
                },
                # If the response is lost, the request is sent again and finds that this holder has the lock.
                ConditionExpression="attribute_not_exists(pk) OR expires_at < :now OR holder = :holder",
                ExpressionAttributeValues={":now": {"N": str(int(now))}, ":holder": {"S": holder}},
            )
        except ConditionFailed:
            return False
        return True

    async def _release(self, name: str, holder: str) -> None:
        try:
            async with time_limit(_MAX_RELEASE_SECONDS, "The lock was not released"):
                await self._table.call(
                    "DeleteItem",
                    "The lock was not released",
                    Key={"pk": {"S": f"lock#{name}"}},
                    ConditionExpression="holder = :holder",
                    ExpressionAttributeValues={":holder": {"S": holder}},
                )
        # The work under the lock is done, and the lock expires by itself. An error would report a successful write as
        # failed.
        except ConditionFailed:
            logger.warning("a lock outlived its lease", extra={"lock": name})
        except StorageUnavailable:
            logger.warning("a lock was not released and expires by itself", extra={"lock": name})
