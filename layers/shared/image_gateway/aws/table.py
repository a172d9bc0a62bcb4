"""The deployment's table in DynamoDB: calls, transactions, and the one mapping of what can go wrong."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from image_gateway.aws.client import Aws
from image_gateway.aws.errors import AwsError, unavailable
from image_gateway.errors import GatewayError

CONDITION_FAILED: Final = "ConditionalCheckFailed"
"""What a transaction says of a write whose condition does not hold."""
_MOST_AT_ONCE = 100
_TRIES = 5

Item = Mapping[str, Any]
"""An item, or its key: attribute names with values in DynamoDB's JSON, such as `{"pk": {"S": "job#1"}}`."""


class ConditionFailed(Exception):
    """The condition of a write does not hold, so nothing was written.

    Attributes:
        item: the item that is stored, where the write requested it by `ReturnValuesOnConditionCheckFailure`.
    """

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition does not hold")
        self.item = item


class Table:
    """One table. Every method takes as `failure` what was not done, for the message of `StorageUnavailable`.

    Args:
        aws: DynamoDB.
        name: of the table.
        sleep: waits, in seconds.
    """

    def __init__(self, aws: Aws, name: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._aws = aws
        self.name = name
        self._sleep = sleep

    async def call(self, operation: str, failure: str, **parameters: Any) -> Any:
        """The response of an operation on this table.

        Args:
            operation: such as `PutItem` or `Query`.
            failure: what was not done where this fails.
            parameters: those of the operation but for `TableName`.

        Raises:
            ConditionFailed: the condition of the write does not hold.
            StorageUnavailable: the table does not answer.
        """
        try:
            return await self._aws.call("dynamodb", operation, TableName=self.name, **parameters)
        except AwsError as error:
            if error.code == "ConditionalCheckFailedException":
                raise ConditionFailed(error.response.get("Item")) from error
            raise unavailable(failure, error) from error

    async def get(self, key: Item, failure: str) -> Any | None:
        """The item under a key as it is now (a consistent read), or None.

        Raises:
            StorageUnavailable: the table does not answer.
        """
        return (await self.call("GetItem", failure, Key=key, ConsistentRead=True)).get("Item")

    async def get_many(self, keys: Sequence[Item], failure: str) -> list[Any]:
        """The items under these keys that exist, as they are now, in any order.

        Raises:
            StorageUnavailable: the table does not answer.
        """
        found: list[Any] = []
        for first in range(0, len(keys), _MOST_AT_ONCE):
            wanted: Any = {self.name: {"Keys": keys[first : first + _MOST_AT_ONCE], "ConsistentRead": True}}
            while wanted:
                try:
                    answer = await self._aws.call("dynamodb", "BatchGetItem", RequestItems=wanted)
                except AwsError as error:
                    raise unavailable(failure, error) from error
                found += answer["Responses"].get(self.name, ())
                wanted = answer.get("UnprocessedKeys")
        return found

    async def transact(
        self,
        writes: Iterable[Mapping[str, Any]],
        failure: str,
        *,
        tries: int = _TRIES,
        contended: GatewayError | None = None,
    ) -> tuple[str, ...]:
        """Do all writes or none.

        Conflicts with other transactions pass: the transaction is then sent again, after a random pause that grows.

        Args:
            writes: the transaction's items, such as `{"Put": {…}}`, each with its `TableName`.
            failure: what was not done where this fails.
            tries: how often the transaction is sent at most.
            contended: raised where it met other transactions each time; `StorageUnavailable` by default.

        Returns:
            Nothing where it was done; else what DynamoDB says of each write, `CONDITION_FAILED` for at least one.

        Raises:
            StorageUnavailable: the table does not answer.
        """
        for attempt in range(tries):
            # By its token, a transaction that is sent again because its response was lost is done once.
            token = str(uuid.uuid4())
            try:
                await self._aws.call(
                    "dynamodb", "TransactWriteItems", TransactItems=list(writes), ClientRequestToken=token
                )
            except AwsError as error:
                reasons = tuple(str(reason.get("Code")) for reason in error.response.get("CancellationReasons", ()))
                if CONDITION_FAILED in reasons:
                    return reasons
                if "TransactionConflict" not in reasons:
                    raise unavailable(failure, error) from error
                if attempt == tries - 1:
                    raise contended or unavailable(failure, error) from error
                await self._sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, no secret
            else:
                return ()
        raise AssertionError("unreachable")
