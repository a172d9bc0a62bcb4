"""Finds jobs that nobody would take up any more, because their message is lost.

A function may die between a job's record and its message, and SQS forgets a message after four days. So once an hour
the worker looks at the jobs of one hour each, and sends the message of every one that has not ended. That a job may
have two messages then is no harm: it is done once.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from image_gateway.aws import Aws, Table
from image_gateway.jobs import queries
from image_gateway.jobs.job_queue import MOST_AT_ONCE, JobQueue
from image_gateway.settings import Settings

_SPAN = timedelta(hours=1)
_AGES = (timedelta(hours=1), timedelta(hours=97))
"""How old the jobs are that are looked at: an hour, and one more than SQS keeps a message."""


class Recovery:
    """Looks for the lost jobs of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table.
        queue: where the jobs go.
    """

    def __init__(self, aws: Aws, settings: Settings, queue: JobQueue) -> None:
        self._table = Table(aws, settings.table)
        self._queue = queue

    async def run(self, moment: datetime) -> None:
        """Look once.

        Args:
            moment: when it was time to, so that no hour is left out, however late this is.

        Raises:
            StorageUnavailable: the table or the queue does not answer.
        """
        for age in _AGES:
            found: list[str] = []
            async for job_id in self._open(moment - age - _SPAN, moment - age):
                found.append(job_id)
                if len(found) == MOST_AT_ONCE:
                    await self._queue.send_all(found)
                    found = []
            if found:
                await self._queue.send_all(found)

    async def _open(self, earliest: datetime, latest: datetime) -> AsyncIterator[str]:
        """The ids of the jobs from between two moments that have not ended."""
        query = queries.open_jobs(earliest, latest)
        start: dict[str, object] = {}
        while True:
            answer = await self._table.call("Query", "The jobs cannot be read", **query, **start)
            for item in answer["Items"]:
                yield queries.job_id(item)
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
