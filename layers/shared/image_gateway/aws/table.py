"""The deployment's DynamoDB table: calls, transactions, and the mapping of their errors."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Self

from image_gateway.aws.client import Aws
from image_gateway.aws.deadlines import time_limit_factor
from image_gateway.aws.errors import AwsError, unavailable
from image_gateway.errors import GatewayError

CONDITION_FAILED: Final = "ConditionalCheckFailed"
"""The reason that a transaction reports for a write whose condition does not hold."""
_MAX_BATCH_KEYS = 100
_MAX_BATCH_READS = 8
"""With the pauses between them, these reads take at least 3 s if keys stay unprocessed, and at most 7 s."""
_MAX_ATTEMPTS = 8
_MAX_PAUSE_SECONDS = 4.0
_MAX_TRANSACTION_SECONDS = 10.0
"""A transaction is not sent again later than this after its first attempt: a caller waits."""
_FIRST_PAUSE_SECONDS: Final = {
    "TransactionConflict": 0.05,
    "ProvisionedThroughputExceeded": 0.5,
    "ThrottlingError": 0.5,
}
"""The temporary reasons of a canceled transaction, and the longest pause after the first attempt."""

Item = Mapping[str, Any]
"""An item, or its key: attribute names with values in DynamoDB's JSON, such as `{"pk": {"S": "job#1"}}`."""


class ConditionFailed(Exception):
    """The condition of a write does not hold, so nothing was written.

    Attributes:
        item: the stored item, if the write requested it with `ReturnValuesOnConditionCheckFailure`.
    """

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition does not hold")
        self.item = item


class Reason(str):  # noqa: SLOT000 - a transaction has few of them
    """Why a transaction was not executed, for one of its writes: DynamoDB's code, `None` for a write that is fine.

    Attributes:
        item: the stored item, if the write requested it with `ReturnValuesOnConditionCheckFailure`.
    """

    item: Item | None

    def __new__(cls, code: str, item: Item | None = None) -> Self:
        """Create the reason with this code."""
        reason = super().__new__(cls, code)
        reason.item = item
        return reason


class Table:
    """A table. Every method has a parameter `failure`: what was not done, for the message of `StorageUnavailable`.

    Args:
        aws: DynamoDB.
        name: the table's name.
        sleep: waits for a number of seconds.
    """

    def __init__(self, aws: Aws, name: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._aws = aws
        self.name = name
        self._sleep = sleep

    async def call(self, operation: str, failure: str, **parameters: Any) -> Any:
        """Call an operation on this table and return its response.

        Args:
            operation: name of the operation, such as `PutItem` or `Query`.
            failure: what was not done if the call fails.
            parameters: the operation's parameters, without `TableName`.

        Raises:
            ConditionFailed: the condition of the write does not hold.
            StorageUnavailable: the call failed.
        """
        try:
            return await self._aws.call("dynamodb", operation, TableName=self.name, **parameters)
        except AwsError as error:
            if error.code == "ConditionalCheckFailedException":
                raise ConditionFailed(error.response.get("Item")) from error
            raise unavailable(failure, error) from error

    async def get(self, key: Item, failure: str) -> Any | None:
        """Return the item with a key, by a consistent read, or None.

        Raises:
            StorageUnavailable: the call failed.
        """
        return (await self.call("GetItem", failure, Key=key, ConsistentRead=True)).get("Item")

    async def get_many(
        self, keys: Sequence[Item], failure: str, *, consistent: bool = True, attributes: Sequence[str] = ()
    ) -> list[Any]:
        """Return the existing items with these keys, in any order.

        Keys that DynamoDB leaves unprocessed are read again, with exponential backoff and jitter.

        Args:
            keys: the keys, each once.
            failure: what was not done if a call fails.
            consistent: whether the reads are consistent, which costs twice as much.
            attributes: the attributes to return; by default all.

        Raises:
            StorageUnavailable: a call failed, or keys stayed unprocessed.
        """
        names = {f"#{number}": name for number, name in enumerate(attributes)}
        projection = {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names} if names else {}
        items: list[Any] = []
        for first in range(0, len(keys), _MAX_BATCH_KEYS):
            batch = {"Keys": keys[first : first + _MAX_BATCH_KEYS], "ConsistentRead": consistent, **projection}
            items += await self._get_batch(batch, failure)
        return items

    async def _get_batch(self, batch: Item, failure: str) -> list[Any]:
        """Return the existing items of one batch read, which has at most `_MAX_BATCH_KEYS`. Raises as `get_many`."""
        items: list[Any] = []
        unread: Any = {self.name: batch}
        for attempt in range(_MAX_BATCH_READS):
            try:
                response = await self._aws.call("dynamodb", "BatchGetItem", RequestItems=unread)
            except AwsError as error:
                raise unavailable(failure, error) from error
            items += response["Responses"].get(self.name, ())
            unread = response.get("UnprocessedKeys")
            if not unread:
                return items
            if attempt < _MAX_BATCH_READS - 1:
                await self._sleep(0.05 * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
        raise unavailable(failure, AwsError("UnprocessedKeys"), retry_after=1)

    async def transact(
        self,
        writes: Iterable[Mapping[str, Any]],
        failure: str,
        *,
        max_attempts: int = _MAX_ATTEMPTS,
        contended: GatewayError | None = None,
    ) -> tuple[Reason, ...]:
        """Execute all writes, or none.

        After a conflict with another transaction, or throttling, the transaction is sent again, with exponential
        backoff and full jitter, up to some seconds in all.

        Args:
            writes: the transaction's items, such as `{"Put": {…}}`, each with its `TableName`.
            failure: what was not done if the transaction fails.
            max_attempts: how often the transaction is sent at most.
            contended: the error if the last attempt had a conflict; by default `StorageUnavailable`.

        Returns:
            An empty tuple if the transaction was executed, else DynamoDB's reason for each write, at least one of
            which is `CONDITION_FAILED`.

        Raises:
            StorageUnavailable: the call failed.
        """
        clock = asyncio.get_running_loop().time
        ends = clock() + _MAX_TRANSACTION_SECONDS * time_limit_factor()
        for attempt in range(max_attempts):
            # The token makes the request idempotent: if its response is lost and it is sent again, it is executed once.
            token = str(uuid.uuid4())
            try:
                await self._aws.call(
                    "dynamodb", "TransactWriteItems", TransactItems=list(writes), ClientRequestToken=token
                )
            except AwsError as error:
                reasons = tuple(
                    Reason(str(reason.get("Code")), reason.get("Item"))
                    for reason in error.response.get("CancellationReasons", ())
                )
                if CONDITION_FAILED in reasons:
                    return reasons
                first_pause = max((_FIRST_PAUSE_SECONDS.get(reason, 0.0) for reason in reasons), default=0.0)
                if not first_pause:
                    raise unavailable(failure, error) from error
                pause = random.uniform(0, min(first_pause * 2**attempt, _MAX_PAUSE_SECONDS))  # noqa: S311 - jitter, no secret
                if attempt == max_attempts - 1 or clock() + pause > ends:
                    conflict = "TransactionConflict" in reasons
                    raise (contended if conflict else None) or unavailable(failure, error, retry_after=1) from error
                await self._sleep(pause)
            else:
                return ()
        raise AssertionError("unreachable")
