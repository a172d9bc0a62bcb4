"""Batches in the table, against moto's server: what is counted, and when results are written."""

import asyncio
import json
import ssl
from typing import Any

import boto3
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

pytestmark = pytest.mark.anyio

BATCH = "01a20491-7f2e-7c11-9c36-5b7d3ac1d0aa"
RESULTS = "results/a.json"


class Parts:
    """The stores of one deployment."""

    def __init__(self, settings: Settings, aws: Aws) -> None:
        self.jobs = JobStore(aws, settings)
        self.objects = ObjectStore(aws, settings)
        self.store = BatchStore(aws, settings)
        self.batches = BatchTracker(aws, settings, self.store, self.objects)
        self._bucket = settings.bucket

    async def begin(self, *numbers: int) -> list[Job]:
        """Open a batch whose lines of these numbers are jobs, which run."""
        made = [
            Job(id=new_job_id(), kind="generation", owner="event:s3", batch=BATCH, line=number) for number in numbers
        ]
        lines: list[dict[str, Any]] = [{"line": job.line, "job": job.id} for job in made]
        await self.batches.open(BATCH, RESULTS, "requests/a.jsonl", lines)
        await asyncio.gather(*(self.jobs.create(job, lease_seconds=60, holder="a") for job in made))
        return made

    async def end(self, job: Job) -> None:
        """End a job as the worker does."""
        job.status = "succeeded"
        assert await self.jobs.finish(job, "a")
        await self.batches.record_job_end(job)

    def results(self) -> Any:
        """The results, where they are written."""
        found = boto3.client("s3").list_objects_v2(Bucket=self._bucket, Prefix="results/")
        if not found["KeyCount"]:
            return None
        return json.loads(boto3.client("s3").get_object(Bucket=self._bucket, Key=RESULTS)["Body"].read())


@pytest.fixture
def parts(settings: Settings, aws: Aws) -> Parts:
    return Parts(settings, aws)


async def test_the_last_end_brings_the_results(parts: Parts) -> None:
    """Not an earlier one, nor one that comes twice or thrice."""
    first, second = await parts.begin(2, 7)

    await parts.end(first)
    for _ in range(3):
        await parts.batches.record_job_end(first)
    assert parts.results() is None

    await parts.end(second)
    assert [line["line"] for line in parts.results()["lines"]] == [2, 7]


async def test_what_has_not_ended_is_not_counted(parts: Parts) -> None:
    """A message of a job that was put back, or that another does, counts nothing; the job is read anew."""
    (job,) = await parts.begin(1)
    before = job.model_copy()

    await parts.batches.record_job_end(before)
    assert parts.results() is None

    job.status = "succeeded"
    await parts.jobs.finish(job, "a")
    await parts.batches.record_job_end(before)
    assert parts.results()["succeeded"] == 1


async def test_a_job_of_no_file_is_not_counted(parts: Parts) -> None:
    """Most jobs are lines of nothing: nothing is read or written for them."""
    await BatchTracker.record_job_end(parts.batches, Job(id="1", kind="generation", owner="event:sqs", status="succeeded"))


async def test_a_batch_that_is_forgotten_is_not_counted(parts: Parts) -> None:
    """A message that comes after its batch was removed is done with."""
    job = Job(id=new_job_id(), kind="generation", owner="event:s3", batch=BATCH, line=1, status="succeeded")

    await parts.batches.record_job_end(job)

    assert await parts.store.get(BATCH) is None


async def test_results_are_written_once(parts: Parts) -> None:
    """Whatever comes afterwards leaves them alone: somebody may have taken them, and put a note there."""
    (job,) = await parts.begin(1)
    await parts.end(job)
    await parts.objects.put_json(RESULTS, {"taken": True})

    await parts.batches.record_job_end(job)
    await parts.batches.write_results_if_done(BATCH)

    assert parts.results() == {"taken": True}


async def test_lines_far_apart_are_counted(parts: Parts) -> None:
    """Numbers are those of the file, blank and bad lines included, and may all fall into one group."""
    jobs = await parts.begin(*range(3, 3 + 150 * 1000, 1000))

    for job in jobs[1:]:
        job.status = "succeeded"
        await parts.jobs.finish(job, "a")
    batch = await parts.store.get(BATCH)
    assert batch is not None
    await parts.batches.record_line_ends(batch, [job.line or 0 for job in jobs[1:]])
    assert parts.results() is None

    await parts.end(jobs[0])
    assert parts.results()["succeeded"] == 150


class Contended(httpx.AsyncBaseTransport):
    """DynamoDB as it is and moto is not: what is in a transaction is not written by others, who are told so.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._transport = httpx.AsyncHTTPTransport(verify=tls, limits=httpx.Limits(max_connections=50))
        self._in_transaction: set[str] = set()
        self.writes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        body = b"".join([part async for part in request.stream])  # type: ignore[union-attr]  # it is asynchronous
        keys = _written(operation, json.loads(body)) if operation else set()
        self.writes += len(keys)
        if keys & self._in_transaction:
            return _refused(operation, len(keys))
        if operation != "TransactWriteItems":
            return await self._done(request, body)
        self._in_transaction |= keys
        try:
            await asyncio.sleep(0.008)  # moto's are too quick to meet
            return await self._done(request, body)
        finally:
            self._in_transaction -= keys

    async def _done(self, request: httpx.Request, body: bytes) -> httpx.Response:
        again = httpx.Request(request.method, request.url, headers=request.headers, content=body)
        again.extensions = request.extensions
        return await self._transport.handle_async_request(again)

    async def aclose(self) -> None:
        await self._transport.aclose()


def _written(operation: str, requested: Any) -> set[str]:
    """The keys of the items that a request writes."""
    one = [requested] if operation in ("PutItem", "UpdateItem") else []
    writes = [next(iter(each.values())) for each in requested.get("TransactItems", [])] or one
    return {(write.get("Item") or write["Key"])["pk"]["S"] for write in writes}


def _refused(operation: str, number: int) -> httpx.Response:
    if operation != "TransactWriteItems":
        return httpx.Response(400, json={"__type": "x#TransactionConflictException"})
    reasons = [{"Code": "TransactionConflict"}] * number
    return httpx.Response(400, json={"__type": "x#TransactionCanceledException", "CancellationReasons": reasons})


async def test_120_lines_that_end_at_once_are_each_counted(settings: Settings, tls: ssl.SSLContext) -> None:
    """No end is lost or late because others end as well, and two writes are enough for each."""
    line = Contended(tls)
    parts = Parts(settings, Aws(lambda: line))
    jobs = await parts.begin(*range(1, 121))
    line.writes = 0

    await asyncio.gather(*(parts.end(job) for job in jobs))

    assert parts.results()["succeeded"] == 120
    # And one for each group of lines, and the note that the results are written.
    assert line.writes == 2 * 120 + 2 + 1
    await line.aclose()


async def test_who_is_further_is_not_set_back(parts: Parts) -> None:
    """Of two deliveries of one file the slower one changes nothing, and goes on."""
    await parts.begin(1, 2, 3)

    assert await parts.store.set_queued(BATCH, 3)
    assert await parts.store.set_queued(BATCH, 2)

    batch = await parts.store.get(BATCH)
    assert batch is not None
    assert batch.queued == batch.jobs == 3


async def test_what_was_given_up_is_not_queued_further(parts: Parts) -> None:
    """Whoever is still at it is told; the first reason stays, and there must be something to give up."""
    await parts.begin(1, 2, 3)
    await parts.store.set_queued(BATCH, 1)

    await parts.store.give_up(BATCH, "It is gone")
    again = await parts.store.give_up(BATCH, "It came back too often")

    assert not await parts.store.set_queued(BATCH, 2)
    assert again is not None
    assert (again.queued, again.given_up) == (1, "It is gone")
    assert await parts.store.give_up("another", "It is gone") is None


async def test_a_line_that_was_given_up_and_runs_is_waited_for(parts: Parts) -> None:
    """Somebody who was told of the file too has queued it just then: its own end brings the results."""
    (job,) = await parts.begin(1)
    batch = await parts.store.give_up(BATCH, "It is gone")
    assert batch is not None

    await parts.batches.record_line_ends(batch, [1])
    assert parts.results() is None

    await parts.end(job)
    assert parts.results()["succeeded"] == 1


class Failing(Aws):
    """A table that does not answer."""

    async def call(self, service: str, operation: str, **_parameters: Any) -> dict[str, Any]:  # noqa: ARG002 - as Aws
        raise AwsError("InternalServerError", status=500)


async def test_a_table_that_fails_has_the_message_come_back(settings: Settings) -> None:
    """Neither reading jobs nor counting them fails in silence."""
    parts = Parts(settings, Failing())
    job = Job(id=new_job_id(), kind="generation", owner="event:s3", batch=BATCH, line=1)

    for status in ("queued", "succeeded"):
        job.status = status
        with pytest.raises(StorageUnavailable, match="InternalServerError"):
            await parts.batches.record_job_end(job)
