"""Forgets end users: in the records of jobs, in budgets and in usage."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from image_gateway.aws import Aws, ConditionFailed, Remaining, Table
from image_gateway.jobs import queries
from image_gateway.jobs.forgotten import ForgottenEndUsers
from image_gateway.metering.limit_item import LIMITS
from image_gateway.metering.usage import UsageTable
from image_gateway.models.end_users import ForgottenEndUser
from image_gateway.models.jobs import FINAL_STATUSES
from image_gateway.settings import Settings

_FAILURE: Final = "The end user was not forgotten everywhere"
_PAGE: Final = 25
"""How many items are changed at the same time."""


class Forgetting:
    """Forgets end users of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the tables.
        forgotten: remembers them for jobs that are under way.
    """

    def __init__(self, aws: Aws, settings: Settings, forgotten: ForgottenEndUsers) -> None:
        self._table = Table(aws, settings.table)
        self._usage = UsageTable(aws, settings) if settings.usage_table else None
        self._forgotten = forgotten

    async def forget(self, labels: Sequence[str], remaining: Remaining) -> ForgottenEndUser:
        """Forget an end user, and return what was done. What is done already is not done again.

        Args:
            labels: the labels that stand for the end user, the current one first.
            remaining: returns the seconds that are left. After that, the rest is left for another call.

        Raises:
            StorageUnavailable: a table does not respond. The same call can be repeated.
        """
        done = ForgottenEndUser(end_user=labels[0], jobs=0, open_jobs=0, usage=0, budgets=0, complete=False)
        for label in labels:
            # First: from now on, no settlement writes the label again.
            await self._forgotten.add(label)
            async for keys in self._items(label):
                if remaining() <= 0:
                    return done
                removed = await asyncio.gather(*(self._forget_in(key) for key in keys))
                budgets = [key.startswith(LIMITS) for key in keys]
                done.budgets += sum(budgets)
                done.jobs += sum(removed) - sum(budgets)
                done.open_jobs += len(keys) - sum(removed)
            if self._usage:
                # Last: a job that was settled meanwhile has added to it.
                deleted, all_deleted = await self._usage.forget_end_user(label, remaining)
                done.usage += deleted
                if not all_deleted:
                    return done
        done.complete = True
        return done

    async def _items(self, label: str) -> AsyncIterator[list[str]]:
        """Yield the keys of the items of an end user in pages: jobs and budgets."""
        start: Any = None
        while True:
            position = {"ExclusiveStartKey": start} if start else {}
            query = queries.end_user_query(label)
            response = await self._table.call("Query", _FAILURE, Limit=_PAGE, **position, **query)
            yield [item["pk"]["S"] for item in response["Items"]]
            start = response.get("LastEvaluatedKey")
            if not start:
                return

    async def _forget_in(self, key: str) -> bool:
        """Delete a budget, or remove the label from a job that has ended. Return False for any other job."""
        if key.startswith(LIMITS):
            await self._table.call("DeleteItem", _FAILURE, Key={"pk": {"S": key}})
            return True
        ended = {f":{status}": {"S": status} for status in FINAL_STATUSES}
        try:
            await self._table.call(
                "UpdateItem",
                _FAILURE,
                Key={"pk": {"S": key}},
                UpdateExpression="REMOVE end_user",
                ConditionExpression=f"#status IN ({', '.join(ended)})",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=ended,
                # Sent although it is the default, because the function's policy requires it.
                ReturnValues="NONE",
            )
        except ConditionFailed:
            return False
        return True
