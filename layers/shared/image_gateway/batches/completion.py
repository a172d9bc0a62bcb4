"""Batches: what became of the lines of a request file.

A job's end is a write of its own, and counted off afterwards: however many end at once, and however often a message of
one comes, each is counted, once. Whoever finds that all have ended writes the results, again wherever a message of such
a job comes twice, until the batch says that they are written: a crash in between loses nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from image_gateway.aws import Aws, Table
from image_gateway.aws.object_store import ObjectStore
from image_gateway.batches.results import results_of, tell
from image_gateway.batches.store import Batch, BatchStore
from image_gateway.jobs import queries
from image_gateway.jobs.store import read_item
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

RESULTS = "results/"
"""Where results of request files are put."""


class Batches:
    """Batches of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table.
        store: how far they are.
        documents: where results go.
    """

    def __init__(self, aws: Aws, settings: Settings, store: BatchStore, objects: ObjectStore) -> None:
        self._table = Table(aws, settings.table)
        self._store = store
        self._objects = objects

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
        await self._objects.put_json(_lines(batch_id), {"file": file, "lines": lines})
        return await self._store.create(batch_id, results, (line["line"] for line in lines if "job" in line))

    async def count_off(self, job: Job) -> None:
        """Count a line of a request file off, if its job has ended by now.

        Args:
            job: any job, as it is or as it was.

        Raises:
            StorageUnavailable: the table or the bucket does not answer; the job's message must come back.
        """
        if job.batch is None or job.line is None:
            return
        found = job if job.ended else (await self._jobs([job.id])).get(job.id)
        if found is not None and not found.ended:
            return
        batch = await self._store.get(job.batch)
        if batch is not None:
            await self.count_off_lines(batch, [job.line])

    async def count_off_lines(self, batch: Batch, lines: Iterable[int]) -> None:
        """Count lines off that have ended or will never be queued, and write the results, if none is left.

        Raises:
            StorageUnavailable: the table or the bucket does not answer.
        """
        if not batch.written:
            await self._conclude(await self._store.count_off(batch, lines))

    async def complete(self, batch_id: str) -> None:
        """Write the results, if all jobs have ended and nobody has written them yet.

        Raises:
            StorageUnavailable: the table or the bucket does not answer.
        """
        batch = await self._store.get(batch_id)
        if batch is not None:
            await self._conclude(batch)

    async def left(self, batch: Batch) -> dict[int, Job | None]:
        """The lines that may not have come into the queue, by their numbers, with their jobs that are in the table."""
        known = await self._objects.get_json(_lines(batch.id))
        lines = [line for line in known["lines"] if "job" in line][batch.queued :]
        jobs = await self._jobs([line["job"] for line in lines])
        return {line["line"]: jobs.get(line["job"]) for line in lines}

    async def _conclude(self, batch: Batch) -> None:
        if batch.written or not batch.done:
            return
        known = await self._objects.get_json(_lines(batch.id))
        lines: list[dict[str, Any]] = known["lines"]
        jobs = await self._jobs([line["job"] for line in lines if "job" in line])
        # A line that was given up may run all the same, for somebody who was told of the file too; it comes here again.
        if all(job.ended for job in jobs.values()):
            reported = tell(lines, jobs, batch.queued, batch.given_up)
            await self._objects.put_json(batch.results, results_of(known["file"], batch.id, reported))
            await self._store.written(batch.id)

    async def _jobs(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of these ids that are in the table, by their ids."""
        found = await self._table.get_many([queries.key(job_id) for job_id in job_ids], "The jobs cannot be read")
        return {job.id: job for job in map(read_item, found)}


def _lines(batch_id: str) -> str:
    return f"inputs/{batch_id}/lines.json"
