"""Finds jobs whose queue message is gone, and queues them again.

A function may die after it stored a job's record and before it sent the job's message, and SQS deletes a message after
four days. So the worker looks once an hour at the jobs of two past hours, and sends a message for each job that has not
ended, or whose end was not announced or not settled. A job that then has two messages runs once all the same.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from image_gateway.aws import Aws, Table
from image_gateway.jobs import queries
from image_gateway.jobs.job_item import STATE_ATTRIBUTES, is_unfinished
from image_gateway.jobs.job_queue import MAX_BATCH_SIZE, JobQueue
from image_gateway.settings import Settings

_SPAN = timedelta(hours=1)
_AGES = (timedelta(hours=1), timedelta(hours=97))
"""Ages of the youngest jobs that a run looks at: one hour, and one hour more than SQS keeps a message."""
_KEYS_PER_QUERY = 2_000
_NOT_READ = "The jobs cannot be read"


class Recovery:
    """Queues jobs of one deployment again whose queue message may be gone.

    Args:
        aws: client for DynamoDB.
        settings: has the table's name.
        queue: where the jobs are queued.
    """

    def __init__(self, aws: Aws, settings: Settings, queue: JobQueue) -> None:
        self._table = Table(aws, settings.table)
        self._queue = queue
        self._settles = bool(settings.usage_table)

    async def run(self, time: datetime) -> None:
        """Queue the unfinished jobs of the hours that belong to one scheduled run.

        Args:
            time: the scheduled time, not the current one, so that a late run skips no hour.

        Raises:
            StorageUnavailable: the table or the queue failed.
        """
        for age in _AGES:
            jobs: list[tuple[str, str]] = []
            async for job in self._unfinished_jobs(time - age - _SPAN, time - age):
                jobs.append(job)
                if len(jobs) == MAX_BATCH_SIZE:
                    await self._queue.send_batch(jobs)
                    jobs = []
            if jobs:
                await self._queue.send_batch(jobs)

    async def _unfinished_jobs(self, earliest: datetime, latest: datetime) -> AsyncIterator[tuple[str, str]]:
        """Yield id and owner of the jobs that were created between two times and are not finished.

        Only some thousand keys and states are in memory at once, however many jobs there are.
        """
        query = queries.created_between_query(earliest, latest)
        start: dict[str, object] = {}
        while True:
            response = await self._table.call("Query", _NOT_READ, Limit=_KEYS_PER_QUERY, **query, **start)
            keys = [{"pk": entry["pk"]} for entry in response["Items"]]
            # The jobs are at least an hour old, so reads that are not consistent suffice, for half of the price.
            items = await self._table.get_many(keys, _NOT_READ, consistent=False, attributes=STATE_ATTRIBUTES)
            for item in items:
                if is_unfinished(item, settles=self._settles):
                    yield queries.item_job_id(item), queries.item_owner(item)
            if "LastEvaluatedKey" not in response:
                return
            start = {"ExclusiveStartKey": response["LastEvaluatedKey"]}
