"""Tracks the jobs of a batch, and writes its results document when all of them have ended.

The end of a job is written to the job's record first and recorded in the batch afterwards. Each end is counted once,
whether many jobs end at the same moment or a message is delivered several times. Whoever finds that all jobs have ended
writes the results. Each redelivered message of an ended job repeats that check until the batch is marked as written, so
that a crash in between loses nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from image_gateway.aws import Aws, Table
from image_gateway.aws.object_store import ObjectStore
from image_gateway.batches.results import line_results, results_document
from image_gateway.batches.store import Batch, BatchStore
from image_gateway.jobs import queries
from image_gateway.jobs.job_item import parse_items
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

RESULTS_PREFIX = "results/"
"""Key prefix of results documents."""


class BatchTracker:
    """Tracks the batches of one deployment.

    Args:
        aws: client for DynamoDB.
        settings: has the table's name.
        store: progress of the batches.
        objects: where line records and results documents are stored.
    """

    def __init__(self, aws: Aws, settings: Settings, store: BatchStore, objects: ObjectStore) -> None:
        self._table = Table(aws, settings.table)
        self._store = store
        self._objects = objects

    async def open(self, batch_id: str, results: str, file: str, lines: Sequence[dict[str, Any]]) -> Batch:
        """Create a batch unless it exists, and return it.

        Args:
            batch_id: the batch's id.
            results: the key of the results document to come.
            file: the key of the request file.
            lines: one record per line: its number, `line`, and either its `job` id or its `error`.

        Raises:
            StorageUnavailable: the table or the bucket cannot be read or written.
        """
        await self._objects.put_json(_lines_key(batch_id), {"file": file, "lines": lines})
        return await self._store.create(batch_id, results, (line["line"] for line in lines if "job" in line))

    async def record_job_end(self, job: Job) -> None:
        """Record the end of a job in its batch. Does nothing if the job belongs to no batch or has not ended.

        Args:
            job: any job. If it had not ended when it was read, it is read again.

        Raises:
            StorageUnavailable: the table or the bucket failed; the job's message must be redelivered.
        """
        if job.batch is None or job.line is None:
            return
        current = job if job.ended else (await self._jobs([job.id])).get(job.id)
        if current is not None and not current.ended:
            return
        batch = await self._store.get(job.batch)
        if batch is not None:
            await self.record_line_ends(batch, [job.line])

    async def record_line_ends(self, batch: Batch, lines: Iterable[int]) -> None:
        """Record that lines have ended or will never be queued, and write the results if no line is left.

        Raises:
            StorageUnavailable: the table or the bucket cannot be read or written.
        """
        if not batch.written:
            await self._finalize(await self._store.mark_ended(batch, lines))

    async def write_results_if_done(self, batch_id: str) -> None:
        """Write the results if all jobs have ended and the results are not written yet.

        Raises:
            StorageUnavailable: the table or the bucket cannot be read or written.
        """
        batch = await self._store.get(batch_id)
        if batch is not None:
            await self._finalize(batch)

    async def unqueued_jobs(self, batch: Batch) -> dict[int, Job | None]:
        """Return the lines that may not be in the queue, by number, each with its job if that is in the table."""
        document = await self._objects.get_json(_lines_key(batch.id))
        lines = [line for line in document["lines"] if "job" in line][batch.queued :]
        jobs = await self._jobs([line["job"] for line in lines])
        return {line["line"]: jobs.get(line["job"]) for line in lines}

    async def _finalize(self, batch: Batch) -> None:
        if batch.written or not batch.done:
            return
        document = await self._objects.get_json(_lines_key(batch.id))
        lines: list[dict[str, Any]] = document["lines"]
        jobs = await self._jobs([line["job"] for line in lines if "job" in line])
        # A job of a line that was given up may run all the same: another delivery of the file's notification may have
        # queued it just then. The end of that job leads here again.
        if all(job.ended for job in jobs.values()):
            outcomes = line_results(lines, jobs, batch.queued, batch.given_up)
            await self._objects.put_json(batch.results, results_document(document["file"], batch.id, outcomes))
            await self._store.mark_written(batch.id)

    async def _jobs(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Return those of the jobs that are in the table, by id."""
        items = await self._table.get_many([queries.item_key(job_id) for job_id in job_ids], "The jobs cannot be read")
        return {job.id: job for job in parse_items(items)}


def _lines_key(batch_id: str) -> str:
    return f"inputs/{batch_id}/lines.json"
