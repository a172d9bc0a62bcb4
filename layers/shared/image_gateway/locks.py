"""Locks in the table, for writers of things that have no compare-and-swap."""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from image_gateway.aws import Aws, AwsError
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30
"""A holder that has not let go by then is taken for dead."""
PATIENCE_SECONDS = 15.0


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
        self._aws = aws
        self._table = settings.table
        self._now = now
        self._sleep = sleep

    @asynccontextmanager
    async def hold(
        self,
        name: str,
        *,
        places: int = 1,
        lease_seconds: float = LEASE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> AsyncIterator[None]:
        """Hold the lock `name` while the block runs; waits for its turn.

        Args:
            name: what is locked.
            places: how many may hold it at once.
            lease_seconds: a holder that has not let go by then is taken for dead.
            patience_seconds: how long to wait for a place.

        Raises:
            Busy: others held it all the while.
            StorageUnavailable: the table cannot be written.
        """
        holder = uuid.uuid4().hex
        give_up = self._now() + patience_seconds
        wait = 0.02
        while (place := await self._place(name, places, holder, lease_seconds)) is None:
            if self._now() > give_up:
                raise Busy(f"The {name} is held by others: try again", retry_after=1)
            await self._sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
            wait = min(wait * 1.5, 0.5)
        try:
            yield
        finally:
            await self._release(place, holder)

    async def _place(self, name: str, places: int, holder: str, seconds: float) -> str | None:
        for number in range(places):
            place = f"{name}#{number}" if places > 1 else name
            if await self._take(place, holder, seconds):
                return place
        return None

    async def _take(self, name: str, holder: str, seconds: float) -> bool:
        now = self._now()
        try:
            await self._aws.call(
                "dynamodb",
                "PutItem",
                TableName=self._table,
                Item={
                    "pk": {"S": f"lock#{name}"},
                    "holder": {"S": holder},
                    "expires_at": {"N": str(int(now + seconds))},
                },
                # Where the answer to this was lost, it is sent again, and finds that this holder has the lock.
                ConditionExpression="attribute_not_exists(pk) OR expires_at < :now OR holder = :holder",
                ExpressionAttributeValues={":now": {"N": str(int(now))}, ":holder": {"S": holder}},
            )
        except AwsError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise StorageUnavailable("The lock cannot be taken: the table does not answer", retry_after=1) from error
        return True

    async def _release(self, name: str, holder: str) -> None:
        try:
            await self._aws.call(
                "dynamodb",
                "DeleteItem",
                TableName=self._table,
                Key={"pk": {"S": f"lock#{name}"}},
                ConditionExpression="holder = :holder",
                ExpressionAttributeValues={":holder": {"S": holder}},
            )
        except AwsError as error:
            outlived = error.code == "ConditionalCheckFailedException"
            # The work under it is done and the lock expires by itself: failing now would report a write that succeeded.
            told = "a lock outlived its lease" if outlived else "a lock was not released and expires by itself"
            logger.warning(told, extra={"lock": name})
