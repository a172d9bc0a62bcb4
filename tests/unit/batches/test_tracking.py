"""Batches in moto's table: which ends are counted, and when the results are written."""

import asyncio
import json
import ssl
from typing import Any

import httpx
import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.aws.object_store import ObjectStore
from image_gateway.batches.store import BatchStore
from image_gateway.batches.tracking import BatchTracker
from image_gateway.errors import StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from tests.aws_clients import aws_client

pytestmark = pytest.mark.anyio

BATCH = "01a20491-7f2e-7c11-9c36-5b7d3ac1d0aa"
RESULTS_KEY = "results/a.json"


class BatchParts:
    """The stores and the tracker of one deployment."""

    def __init__(self, settings: Settings, aws: Aws) -> None:
        self.jobs = JobStore(aws, settings)
        self.objects = ObjectStore(aws, settings)
        self.store = BatchStore(aws, settings)
        self.batches = BatchTracker(aws, settings, self.store, self.objects)
        self._bucket = settings.bucket

    async def open_batch(self, *numbers: int) -> list[Job]:
        """Open a batch whose lines with these numbers are running jobs, and return the jobs."""
        jobs = [
            Job(id=new_job_id(), kind="generation", owner="event:s3", batch=BATCH, line=number) for number in numbers
        ]
        lines: list[dict[str, Any]] = [{"line": job.line, "job": job.id} for job in jobs]
        await self.batches.open(BATCH, RESULTS_KEY, "requests/a.jsonl", lines)
        await asyncio.gather(*(self.jobs.create(job, lease_seconds=60, holder="a") for job in jobs))
        return jobs

    async def end(self, job: Job) -> None:
        """End a job and record it in the batch, as the worker does."""
        job.status = "succeeded"
        assert await self.jobs.finish(job, "a")
        await self.batches.record_job_end(job)

    def results(self) -> Any:
        """Return the results document, or None if it is not written."""
        listing = aws_client("s3").list_objects_v2(Bucket=self._bucket, Prefix="results/")
        if not listing["KeyCount"]:
            return None
        return json.loads(aws_client("s3").get_object(Bucket=self._bucket, Key=RESULTS_KEY)["Body"].read())


class FailingAws(Aws):
    """Fails every call."""

    async def call(self, service: str, operation: str, **_parameters: Any) -> dict[str, Any]:  # noqa: ARG002 - as Aws
        raise AwsError("InternalServerError", status=500)


@pytest.fixture
def parts(settings: Settings, aws: Aws) -> BatchParts:
    return BatchParts(settings, aws)


async def test_the_end_of_the_last_job_writes_the_results(parts: BatchParts) -> None:
    """Earlier ends do not, even if they are recorded several times."""
    first, second = await parts.open_batch(2, 7)

    await parts.end(first)
    for _ in range(3):
        await parts.batches.record_job_end(first)
    assert parts.results() is None

    await parts.end(second)
    assert [line["line"] for line in parts.results()["lines"]] == [2, 7]


async def test_a_job_that_has_not_ended_is_not_counted(parts: BatchParts) -> None:
    """The job is read again, because its message may belong to a job that was put back or that another worker runs."""
    (job,) = await parts.open_batch(1)
    before = job.model_copy()

    await parts.batches.record_job_end(before)
    assert parts.results() is None

    job.status = "succeeded"
    await parts.jobs.finish(job, "a")
    await parts.batches.record_job_end(before)
    assert parts.results()["succeeded"] == 1


async def test_a_job_without_a_batch_causes_no_calls(settings: Settings) -> None:
    """Most jobs belong to no request file: nothing is read or written for them."""
    parts = BatchParts(settings, FailingAws())

    await parts.batches.record_job_end(Job(id="1", kind="generation", owner="event:sqs", status="succeeded"))


async def test_the_end_of_a_job_whose_batch_has_expired_is_ignored(parts: BatchParts) -> None:
    """The message of such a job is processed, and no batch is created."""
    job = Job(id=new_job_id(), kind="generation", owner="event:s3", batch=BATCH, line=1, status="succeeded")

    await parts.batches.record_job_end(job)

    assert await parts.store.get(BATCH) is None


async def test_results_are_written_only_once(parts: BatchParts) -> None:
    """Later messages do not overwrite them: their reader may have replaced the object."""
    (job,) = await parts.open_batch(1)
    await parts.end(job)
    await parts.objects.put_json(RESULTS_KEY, {"replaced": True})

    await parts.batches.record_job_end(job)
    await parts.batches.write_results_if_done(BATCH)

    assert parts.results() == {"replaced": True}


async def test_lines_with_distant_numbers_are_counted(parts: BatchParts) -> None:
    """Blank and invalid lines have numbers too, so the numbers of the jobs may all fall into one group."""
    jobs = await parts.open_batch(*range(3, 3 + 150 * 1000, 1000))

    for job in jobs[1:]:
        job.status = "succeeded"
        await parts.jobs.finish(job, "a")
    batch = await parts.store.get(BATCH)
    assert batch is not None
    await parts.batches.record_line_ends(batch, [job.line or 0 for job in jobs[1:]])
    assert parts.results() is None

    await parts.end(jobs[0])
    assert parts.results()["succeeded"] == 150


class TransactionConflicts(httpx.AsyncBaseTransport):
    """Adds DynamoDB's transaction conflicts to moto: a write to an item in a running transaction is refused.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._transport = httpx.AsyncHTTPTransport(verify=tls, limits=httpx.Limits(max_connections=50))
        self._in_transaction: set[str] = set()
        self.writes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        body = b"".join([part async for part in request.stream])  # type: ignore[union-attr]  # the stream is asynchronous
        keys = _written_keys(operation, json.loads(body)) if operation else set()
        self.writes += len(keys)
        if keys & self._in_transaction:
            return _conflict(operation, len(keys))
        if operation != "TransactWriteItems":
            return await self._forward(request, body)
        self._in_transaction |= keys
        try:
            await asyncio.sleep(0.008)  # moto's transactions are too short to overlap
            return await self._forward(request, body)
        finally:
            self._in_transaction -= keys

    async def _forward(self, request: httpx.Request, body: bytes) -> httpx.Response:
        copy = httpx.Request(request.method, request.url, headers=request.headers, content=body)
        copy.extensions = request.extensions
        return await self._transport.handle_async_request(copy)

    async def aclose(self) -> None:
        await self._transport.aclose()


def _written_keys(operation: str, body: Any) -> set[str]:
    """Return the keys of the items that a request writes."""
    single = [body] if operation in ("PutItem", "UpdateItem") else []
    writes = [next(iter(item.values())) for item in body.get("TransactItems", [])] or single
    return {(write.get("Item") or write["Key"])["pk"]["S"] for write in writes}


def _conflict(operation: str, number: int) -> httpx.Response:
    if operation != "TransactWriteItems":
        return httpx.Response(400, json={"__type": "x#TransactionConflictException"})
    reasons = [{"Code": "TransactionConflict"}] * number
    return httpx.Response(400, json={"__type": "x#TransactionCanceledException", "CancellationReasons": reasons})


async def test_120_jobs_that_end_concurrently_are_all_counted(settings: Settings, tls: ssl.SSLContext) -> None:
    """No end is lost or delayed because other jobs end at the same moment, and each end takes two writes."""
    transport = TransactionConflicts(tls)
    parts = BatchParts(settings, Aws(lambda: transport))
    jobs = await parts.open_batch(*range(1, 121))
    transport.writes = 0

    await asyncio.gather(*(parts.end(job) for job in jobs))

    assert parts.results()["succeeded"] == 120
    # Two writes for each job, one for each of the two groups of lines, and the mark that the results are written.
    assert transport.writes == 2 * 120 + 2 + 1
    await transport.aclose()


async def test_the_number_of_queued_jobs_never_decreases(parts: BatchParts) -> None:
    """The slower of two deliveries of a file changes nothing, and may continue."""
    await parts.open_batch(1, 2, 3)

    assert await parts.store.set_queued(BATCH, 3)
    assert await parts.store.set_queued(BATCH, 2)

    batch = await parts.store.get(BATCH)
    assert batch is not None
    assert batch.queued == batch.jobs == 3


async def test_a_batch_that_was_given_up_is_not_queued_further(parts: BatchParts) -> None:
    """A concurrent delivery stops, the first reason is kept, and a batch that does not exist gives None."""
    await parts.open_batch(1, 2, 3)
    await parts.store.set_queued(BATCH, 1)

    await parts.store.give_up(BATCH, "It is gone")
    batch = await parts.store.give_up(BATCH, "It was delivered too often")

    assert not await parts.store.set_queued(BATCH, 2)
    assert batch is not None
    assert (batch.queued, batch.given_up) == (1, "It is gone")
    assert await parts.store.give_up("another", "It is gone") is None


async def test_results_wait_for_a_running_job_whose_line_was_given_up(parts: BatchParts) -> None:
    """A concurrent delivery may have queued the job just then. The end of that job writes the results."""
    (job,) = await parts.open_batch(1)
    batch = await parts.store.give_up(BATCH, "It is gone")
    assert batch is not None

    await parts.batches.record_line_ends(batch, [1])
    assert parts.results() is None

    await parts.end(job)
    assert parts.results()["succeeded"] == 1


async def test_a_failing_table_raises_storage_unavailable(settings: Settings) -> None:
    """Both reading jobs and recording their ends raise the error, so that the message is redelivered."""
    parts = BatchParts(settings, FailingAws())
    job = Job(id=new_job_id(), kind="generation", owner="event:s3", batch=BATCH, line=1)

    for status in ("queued", "succeeded"):
        job.status = status
        with pytest.raises(StorageUnavailable, match="InternalServerError"):
            await parts.batches.record_job_end(job)
