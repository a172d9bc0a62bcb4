"""Batches: what became of the lines of a request file. `batch#{id}` counts the jobs that have not ended.

The jobs count themselves off as they end. Whoever then finds none left writes the results, again wherever a message of
such a job comes twice, until the item says that they are written: a crash in between loses nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from image_gateway import job_pages
from image_gateway.aws import Aws, AwsError
from image_gateway.documents import Documents
from image_gateway.errors import StorageUnavailable
from image_gateway.job_store import read_item
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

RESULTS = "results/"
"""Where results of request files are put."""
_MOST_AT_ONCE = 100
# Longer than any message of its jobs can be on its way.
_FURTHER_DAYS = 15


@dataclass(frozen=True, slots=True)
class Batch:
    """How far a batch is.

    Attributes:
        id: of the batch.
        results: the key that its results have, or will have.
        jobs: how many lines are jobs.
        queued: how many of them are in the table and in the queue.
        remaining: how many have not ended.
        written: whether the results are there.
    """

    id: str
    results: str
    jobs: int
    queued: int
    remaining: int
    written: bool


class Batches:
    """Batches of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table, and how many days a job is remembered.
        documents: where results go.
        clock: seconds since 1970.
    """

    def __init__(
        self, aws: Aws, settings: Settings, documents: Documents, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._aws = aws
        self._table = settings.table
        self._days = settings.job_retention_days + _FURTHER_DAYS
        self._documents = documents
        self._clock = clock

    async def get(self, batch_id: str) -> Batch | None:
        """The batch of that id, as it is now."""
        found = await self._call("GetItem", TableName=self._table, Key=_key(batch_id), ConsistentRead=True)
        if "Item" not in found:
            return None
        item = found["Item"]
        jobs, queued, remaining = (int(item[name]["N"]) for name in ("jobs", "queued", "remaining"))
        return Batch(batch_id, item["results"]["S"], jobs, queued, remaining, "written" in item)

    async def open(self, batch_id: str, results: str, file: str, lines: Sequence[dict[str, Any]]) -> Batch:
        """Begin a batch, unless it has begun.

        Args:
            batch_id: its id.
            results: the key that its results will have.
            file: the key of the request file.
            lines: of each its number, `line`, and either the `job` that it becomes or the `error` that it has.

        Raises:
            StorageUnavailable: the table or the bucket does not answer.
        """
        await self._documents.put(_lines(batch_id), {"file": file, "lines": lines})
        jobs = str(sum("job" in line for line in lines))
        item = {
            **_key(batch_id),
            "results": {"S": results},
            "jobs": {"N": jobs},
            "queued": {"N": "0"},
            "remaining": {"N": jobs},
            "expires_at": {"N": str(int(self._clock() + self._days * 86_400))},
        }
        try:
            await self._call(
                "PutItem", TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)"
            )
        except StorageUnavailable as error:
            if "ConditionalCheckFailed" not in error.detail:
                raise
        return await self.get(batch_id) or Batch(batch_id, results, int(jobs), 0, int(jobs), written=False)

    async def queued(self, batch_id: str, number: int) -> None:
        """Note that so many of its jobs are in the table and in the queue."""
        await self._set(batch_id, "queued", {"N": str(number)})

    async def complete(self, batch_id: str) -> None:
        """Write the results, if all jobs have ended and nobody has written them yet.

        Raises:
            StorageUnavailable: the table or the bucket does not answer.
        """
        batch = await self.get(batch_id)
        if batch is None or batch.remaining > 0 or batch.written:
            return
        known = await self._documents.get(_lines(batch_id))
        lines: list[dict[str, Any]] = known["lines"]
        jobs = await self._jobs([line["job"] for line in lines if "job" in line])
        told = [_told(line, jobs) for line in lines]
        counts = {
            status: sum(line["status"] == status for line in told)
            for status in ("succeeded", "failed", "canceled", "invalid")
        }
        results = {"file": known["file"], "batch": batch_id, "total": len(told), **counts, "lines": told}
        await self._documents.put(batch.results, results)
        await self._set(batch_id, "written", {"BOOL": True})

    async def _jobs(self, job_ids: Sequence[str]) -> dict[str, Job]:
        found: dict[str, Job] = {}
        for first in range(0, len(job_ids), _MOST_AT_ONCE):
            keys = [job_pages.key(job_id) for job_id in job_ids[first : first + _MOST_AT_ONCE]]
            wanted: Any = {self._table: {"Keys": keys, "ConsistentRead": True}}
            while wanted:
                answer = await self._call("BatchGetItem", RequestItems=wanted)
                jobs = [read_item(item) for item in answer["Responses"].get(self._table, ())]
                found |= {job.id: job for job in jobs}
                wanted = answer.get("UnprocessedKeys")
        return found

    async def _set(self, batch_id: str, name: str, value: dict[str, Any]) -> None:
        await self._call(
            "UpdateItem",
            TableName=self._table,
            Key=_key(batch_id),
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )

    async def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return await self._aws.call("dynamodb", operation, **arguments)
        except AwsError as error:
            raise StorageUnavailable(f"The batch was not kept: {error.code}", retry_after=1) from error


def _told(line: dict[str, Any], jobs: dict[str, Job]) -> dict[str, Any]:
    """What the results say of a line."""
    if "job" not in line:
        return {**line, "status": "invalid"}
    job = jobs.get(line["job"])
    if job is None:
        return {**line, "status": "failed", "error": {"code": "not_found", "detail": "The job is no longer remembered"}}
    error = {"error": {"code": job.error.code, "detail": job.error.detail}} if job.error else {}
    # A canceled job's pictures are not shown.
    keys = [picture.key for picture in job.pictures] if job.status == "succeeded" else []
    return {**line, "status": job.status, "keys": keys, **error}


def _key(batch_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"batch#{batch_id}"}}


def _lines(batch_id: str) -> str:
    return f"inputs/{batch_id}/lines.json"
