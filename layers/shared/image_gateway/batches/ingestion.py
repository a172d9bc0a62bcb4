"""Ingests request files: each line becomes a queued job. Lines that are not requests are reported in the results.

The lines of a file are queued ten at a time until the invocation runs out of time. Then the file's message is sent
again for the rest. The batch records how many lines are queued, and the id of a line's job is derived from the line's
number, so that repeated deliveries create nothing twice.

When the message is given up, for example because the file is gone, the lines that are not queued fail, and the others
get their results.
"""

import asyncio
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from image_gateway.aws.object_store import ObjectStore
from image_gateway.batches.request_file import REQUESTS_PREFIX, RequestFile
from image_gateway.batches.results import not_queued_error
from image_gateway.batches.store import BatchStore
from image_gateway.batches.tracking import RESULTS_PREFIX, BatchTracker
from image_gateway.errors import GatewayError, InvalidRequest, LimitExceeded, NotConfigured, NotFound, TooLarge
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.envelope_parsing import UnreadableRequest, parse_line
from image_gateway.jobs.input_loading import JobInputs
from image_gateway.jobs.job_queue import MAX_BATCH_SIZE, JobQueue
from image_gateway.jobs.store import JobStore
from image_gateway.metering.scopes import event_owner
from image_gateway.models.envelopes import EditEnvelope, GenerationEnvelope
from image_gateway.models.jobs import Job, Kind, utc_now

MAX_FILE_BYTES = 32 * 2**20
"""Maximum size of a request file in bytes. Large images are better named by URL or id."""
MAX_LINES = 10_000
"""Maximum number of requests in a file."""
OWNER = event_owner("s3")
"""The owner of all jobs from request files."""
_MARGIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A line that is not blank: its request, or the error if it has none. `kind` is None if the line is unreadable."""

    number: int
    kind: Kind | None
    content: GenerationEnvelope | EditEnvelope | InvalidRequest


class RequestFileIngester:
    """Creates and queues the jobs of request files.

    Args:
        objects: where the files are.
        jobs: where jobs are stored.
        inputs: stores the requests' image references.
        batches: tracks the jobs of each file.
        progress: progress of the batches.
        queue: where jobs are queued.
        announcements: publishes the completion of jobs that fail here.
    """

    def __init__(
        self,
        *,
        objects: ObjectStore,
        jobs: JobStore,
        inputs: JobInputs,
        batches: BatchTracker,
        progress: BatchStore,
        queue: JobQueue,
        announcements: Announcements,
    ) -> None:
        self._objects = objects
        self._jobs = jobs
        self._inputs = inputs
        self._batches = batches
        self._progress = progress
        self._queue = queue
        self._announcements = announcements

    async def ingest(self, file: RequestFile, message: str, remaining: Callable[[], float]) -> None:
        """Queue the jobs of a file, or as many as there is time for.

        Args:
            file: the request file.
            message: the body of the message about the file; sent again for the lines that are left.
            remaining: returns the seconds that the invocation has left.

        Raises:
            UnreadableRequest: the file is gone or too large, or it is a single request that is not valid.
            StorageUnavailable: the table, the bucket or the queue failed; the message must be redelivered.
        """
        file = await self._with_first_notification(file)
        batch = await self._progress.get(file.id)
        if batch is None or (batch.queued < batch.jobs and batch.given_up is None):
            lines = await asyncio.to_thread(read_lines, await self._read(file), single=file.single)
            if len(lines) > MAX_LINES:
                raise UnreadableRequest(f"{file.key} has over {MAX_LINES} lines")
            job_lines = [line for line in lines if _is_job(file, line)]
            if batch is None:
                records = [_line_record(file, line) for line in lines]
                batch = await self._batches.open(file.id, _results_key(file), file.key, records)
            if not await self._queue_lines(file, job_lines, batch.queued, remaining):
                await self._queue.resend(message, owner=OWNER)
                return
            if file.single and not job_lines:
                await self._batches.write_results_if_done(file.id)
                raise UnreadableRequest(f"{file.key}: {lines[0].content}")
        await self._batches.write_results_if_done(file.id)

    async def give_up(self, file: RequestFile, reason: str) -> None:
        """Fail the lines of a file that are not queued. Does nothing if the file has no batch yet.

        Args:
            file: the request file, whose message will not be delivered again.
            reason: why, without a full stop.

        Raises:
            StorageUnavailable: the table or the bucket failed; the message about this must be redelivered.
        """
        file = await self._with_first_notification(file)
        batch = await self._progress.give_up(file.id, reason)
        if batch is None:
            return
        unqueued = await self._batches.unqueued_jobs(batch)
        # Some of these jobs may be in the table, and those may be queued or not. A running job is recorded at its end.
        for job in unqueued.values():
            if job is not None:
                await self._fail(job, not_queued_error(batch.given_up or reason))
        await self._batches.record_line_ends(batch, unqueued)

    async def _with_first_notification(self, file: RequestFile) -> RequestFile:
        """Return the file with the time of its first notification, on which all ids depend."""
        return replace(file, time=await self._progress.first_notified(file.time, *file.identity))

    async def _read(self, file: RequestFile) -> bytes:
        try:
            return await self._objects.get_bytes(
                file.key, version_id=file.version_id, etag=file.etag, max_bytes=MAX_FILE_BYTES
            )
        except (NotFound, TooLarge) as error:
            raise UnreadableRequest(error.detail) from None

    async def _queue_lines(
        self, file: RequestFile, lines: list[RequestLine], first: int, remaining: Callable[[], float]
    ) -> bool:
        """Queue the jobs of `lines` from index `first`. Return False if the time runs out before the last one."""
        for start in range(first, len(lines), MAX_BATCH_SIZE):
            if start > first and remaining() < _MARGIN_SECONDS:
                return False
            chunk = lines[start : start + MAX_BATCH_SIZE]
            await asyncio.gather(*(self._create_job(file, line) for line in chunk))
            await self._queue.send_batch([(file.job_id(line.number), OWNER) for line in chunk])
            if not await self._progress.set_queued(file.id, start + len(chunk)):
                break
        return True

    async def _create_job(self, file: RequestFile, line: RequestLine) -> None:
        assert line.kind is not None  # noqa: S101 - `_is_job` excludes lines without a kind
        job_id = file.job_id(line.number)
        job = Job(id=job_id, kind=line.kind, owner=OWNER, channel="s3", batch=file.id, line=line.number)
        if isinstance(line.content, InvalidRequest):
            await self._jobs.create(job)
            await self._fail(job, line.content)
            return
        try:
            scopes = await self._inputs.attach_request(job, line.content.request)
            await self._jobs.create(job, scopes=scopes)
        except (InvalidRequest, LimitExceeded, NotConfigured) as error:
            await self._create_failed(job, error)

    async def _create_failed(self, job: Job, error: GatewayError) -> None:
        """Store the job of a line that a limit refuses. It is failed from the start, so that no worker runs it."""
        job.reserved = 0
        job.fail(error)
        job.finished_at = utc_now()
        self._announcements.expect(job)
        if await self._jobs.create(job) is None:
            await self._announcements.announce(job)

    async def _fail(self, job: Job, error: GatewayError) -> None:
        """End a queued job as failed, unless a worker has leased it by now."""
        job.fail(error)
        self._announcements.expect(job)
        if await self._jobs.end(job, expected_status="queued"):
            await self._announcements.announce(job)


def read_lines(data: bytes, *, single: bool) -> list[RequestLine]:
    """Parse the lines of a file that are not blank, numbered from 1.

    Args:
        data: the file's content.
        single: whether the whole file is one request.

    Returns:
        At most `MAX_LINES` + 1 lines.
    """
    texts: Iterable[bytes] = [data] if single else io.BytesIO(data)
    lines = (_parse_line(number, text) for number, text in enumerate(texts, start=1) if single or text.strip())
    return list(islice(lines, MAX_LINES + 1))


def _parse_line(number: int, text: bytes) -> RequestLine:
    try:
        return RequestLine(number, *parse_line(text))
    except UnreadableRequest as reason:
        return RequestLine(number, None, InvalidRequest(str(reason)))


def _is_job(file: RequestFile, line: RequestLine) -> bool:
    """Whether a line becomes a job. A single request that does not validate becomes a failed job."""
    return not isinstance(line.content, InvalidRequest) or (file.single and line.kind is not None)


def _line_record(file: RequestFile, line: RequestLine) -> dict[str, Any]:
    """Return what the batch stores about a line."""
    record: dict[str, Any] = {"line": line.number}
    if isinstance(line.content, InvalidRequest):
        record["error"] = {"code": line.content.code, "detail": line.content.detail}
    elif line.content.id:
        record["id"] = line.content.id
    return {**record, "job": file.job_id(line.number)} if _is_job(file, line) else record


def _results_key(file: RequestFile) -> str:
    name = file.key.removeprefix(REQUESTS_PREFIX).removesuffix(".jsonl").removesuffix(".json")
    return f"{RESULTS_PREFIX}{name}-{file.id}.json"
