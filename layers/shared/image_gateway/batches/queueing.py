"""Request files: every line becomes a queued job; what is no request is told in the results by its number.

A file is taken in tens of lines for as long as the invocation has time, then its message is sent again. The batch knows
how many lines are queued, and a line's job has an id of its own, so nothing is done twice however often that happens.
When the message is given up, as it is where the file is gone meanwhile, what is not queued fails, and the rest has its
results.
"""

import asyncio
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from image_gateway.aws.object_store import ObjectStore
from image_gateway.batches.completion import RESULTS, Batches
from image_gateway.batches.request_file import REQUESTS, RequestFile
from image_gateway.batches.results import not_queued
from image_gateway.batches.store import BatchStore
from image_gateway.errors import GatewayError, InvalidRequest, NotFound, TooLarge
from image_gateway.jobs.envelopes import Unreadable, read_line
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.inputs import JobInputs
from image_gateway.jobs.job_queue import MOST_AT_ONCE, JobQueue
from image_gateway.jobs.store import JobStore
from image_gateway.models.envelopes import EditEnvelope, GenerationEnvelope
from image_gateway.models.jobs import Job, Kind

MAX_FILE_BYTES = 32 * 2**20
"""Longest request file. Large images are better named by URL or id."""
MAX_LINES = 10_000
"""Most requests of one file."""
OWNER = "event:s3"
_MARGIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not blank: the request on it, or what is wrong with it."""

    number: int
    kind: Kind | None
    found: GenerationEnvelope | EditEnvelope | InvalidRequest


class RequestFiles:
    """Makes jobs of request files.

    Args:
        documents: where the files lie.
        jobs: where jobs are kept.
        inputs: keeps what a job asks for.
        batches: count them.
        progress: how far the batches are.
        queue: where they go.
        events: who is told of jobs that fail here.
    """

    def __init__(
        self,
        *,
        objects: ObjectStore,
        jobs: JobStore,
        inputs: JobInputs,
        batches: Batches,
        progress: BatchStore,
        queue: JobQueue,
        events: JobEvents,
    ) -> None:
        self._objects = objects
        self._jobs = jobs
        self._inputs = inputs
        self._batches = batches
        self._progress = progress
        self._queue = queue
        self._events = events

    async def take(self, file: RequestFile, message: str, remaining: Callable[[], float]) -> None:
        """Queue the jobs of a file, or as many as there is time for.

        Args:
            file: which one.
            message: what told of it; sent again for the rest.
            remaining: seconds that the invocation has left.

        Raises:
            Unreadable: the file is gone, too large or, where it is a single request, none.
            StorageUnavailable: the table, the bucket or the queue does not answer; the message must come back.
        """
        file = await self._as_first_told(file)
        batch = await self._progress.get(file.id)
        if batch is None or (batch.queued < batch.jobs and batch.given_up is None):
            lines = await asyncio.to_thread(_read, await self._bytes(file), single=file.single)
            if len(lines) > MAX_LINES:
                raise Unreadable(f"{file.key} has over {MAX_LINES} lines")
            good = [line for line in lines if _is_job(file, line)]
            if batch is None:
                reported = [_told(file, line) for line in lines]
                batch = await self._batches.open(file.id, _results(file), file.key, reported)
            if not await self._queue_from(batch.queued, file, good, remaining):
                await self._queue.send_again(message)
                return
            if file.single and not good:
                await self._batches.complete(file.id)
                raise Unreadable(f"{file.key}: {lines[0].found}")
        await self._batches.complete(file.id)

    async def give_up(self, file: RequestFile, reason: str) -> None:
        """Have the lines of a file fail that are not queued: nobody is told of the file any more.

        Args:
            file: which one; nothing happens where it was never begun.
            reason: why, without a full stop.

        Raises:
            StorageUnavailable: the table or the bucket does not answer; what told of this must come back.
        """
        file = await self._as_first_told(file)
        batch = await self._progress.give_up(file.id, reason)
        if batch is None:
            return
        left = await self._batches.left(batch)
        # Some may be in the table, and then in the queue or not. One that runs is told as it ends.
        for job in left.values():
            if job is not None:
                await self._fail(job, not_queued(batch.given_up or reason))
        await self._batches.count_off_lines(batch, left)

    async def _as_first_told(self, file: RequestFile) -> RequestFile:
        """The file with the time that it was first told of, which is in all ids."""
        return replace(file, time=await self._progress.first_told(file.time, *file.identity))

    async def _bytes(self, file: RequestFile) -> bytes:
        try:
            return await self._objects.get_bytes(
                file.key, version_id=file.version_id, etag=file.etag, max_bytes=MAX_FILE_BYTES
            )
        except (NotFound, TooLarge) as error:
            raise Unreadable(error.detail) from None

    async def _queue_from(
        self, queued: int, file: RequestFile, good: list[_Line], remaining: Callable[[], float]
    ) -> bool:
        """Queue the jobs of a file but for the first `queued`; False where time ran short."""
        for first in range(queued, len(good), MOST_AT_ONCE):
            if first > queued and remaining() < _MARGIN_SECONDS:
                return False
            ten = good[first : first + MOST_AT_ONCE]
            await asyncio.gather(*(self._create(file, line) for line in ten))
            await self._queue.send_all([file.job_id(line.number) for line in ten])
            if not await self._progress.queued(file.id, first + len(ten)):
                break
        return True

    async def _create(self, file: RequestFile, line: _Line) -> None:
        assert line.kind is not None  # noqa: S101 - no other line becomes a job
        job_id = file.job_id(line.number)
        job = Job(id=job_id, kind=line.kind, owner=OWNER, channel="s3", batch=file.id, line=line.number)
        if isinstance(line.found, InvalidRequest):
            await self._jobs.create(job)
            await self._fail(job, line.found)
            return
        await self._inputs.assign(job, line.found.request)
        await self._jobs.create(job)

    async def _fail(self, job: Job, error: GatewayError) -> None:
        """End a job that nobody has taken up."""
        job.fail(error)
        if await self._jobs.end(job, before="queued"):
            await self._events.ended(job)


def _read(data: bytes, *, single: bool) -> list[_Line]:
    """The lines of a file that are not blank, counted from 1: `MAX_LINES` and one more at most, however many it has."""
    texts: Iterable[bytes] = [data] if single else io.BytesIO(data)
    lines = (_line(number, text) for number, text in enumerate(texts, start=1) if single or text.strip())
    return list(islice(lines, MAX_LINES + 1))


def _line(number: int, text: bytes) -> _Line:
    try:
        return _Line(number, *read_line(text))
    except Unreadable as reason:
        return _Line(number, None, InvalidRequest(str(reason)))


def _is_job(file: RequestFile, line: _Line) -> bool:
    """Whether a line becomes a job. A single request that does not validate is one too: a failed one."""
    return not isinstance(line.found, InvalidRequest) or (file.single and line.kind is not None)


def _told(file: RequestFile, line: _Line) -> dict[str, Any]:
    """What the batch knows of a line."""
    reported: dict[str, Any] = {"line": line.number}
    if isinstance(line.found, InvalidRequest):
        reported["error"] = {"code": line.found.code, "detail": line.found.detail}
    elif line.found.id:
        reported["id"] = line.found.id
    return {**reported, "job": file.job_id(line.number)} if _is_job(file, line) else reported


def _results(file: RequestFile) -> str:
    name = file.key.removeprefix(REQUESTS).removesuffix(".jsonl").removesuffix(".json")
    return f"{RESULTS}{name}-{file.id}.json"
