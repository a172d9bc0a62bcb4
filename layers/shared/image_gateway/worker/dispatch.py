"""Takes messages in: a job is done, a request becomes a job and is done, a file of requests becomes queued jobs."""

import logging
from collections.abc import Callable

from image_gateway.batches.ingestion import RequestFileIngester
from image_gateway.errors import GatewayError, InvalidRequest
from image_gateway.jobs.envelope_parsing import UnreadableRequest
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.idempotency import claim_for
from image_gateway.jobs.input_loading import JobInputs
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job, utc_now
from image_gateway.worker.messages import JobMessage, Message, RequestMessage, Tick, read_message
from image_gateway.worker.recovery import Recovery
from image_gateway.worker.worker import Worker

logger = logging.getLogger(__name__)


class Dispatcher:
    """What the worker does with messages.

    Args:
        bucket: whose request files are taken.
        jobs: where jobs are kept.
        inputs: keeps what a job asks for.
        files: makes jobs of request files.
        sweep: finds lost jobs.
        worker: does jobs.
        queue: buries what cannot be read.
        events: who is told of requests that do not validate.
    """

    def __init__(
        self,
        *,
        bucket: str,
        jobs: JobStore,
        inputs: JobInputs,
        files: RequestFileIngester,
        recovery: Recovery,
        worker: Worker,
        queue: JobQueue,
        events: JobEvents,
    ) -> None:
        self._bucket = bucket
        self._jobs = jobs
        self._inputs = inputs
        self._files = files
        self._recovery = recovery
        self._worker = worker
        self._queue = queue
        self._events = events

    async def take(self, message: Message, remaining: Callable[[], float]) -> bool:
        """Do what there is to do for one message.

        Args:
            message: from the queue.
            remaining: seconds that the invocation has left.

        Returns:
            True when the message is done with; False when it must come back: another has its job right now.

        Raises:
            StorageUnavailable: the table, the bucket or the queue does not answer; the message must come back.
        """
        try:
            found = read_message(message, self._bucket)
            if isinstance(found, JobMessage):
                return await self._worker.process(found.job_id, remaining, again=message.again)
            if isinstance(found, RequestMessage):
                return await self._worker.process(await self._job(found), remaining, again=message.again)
            if isinstance(found, Tick):
                await self._recovery.run(found.time)
                return True
            await self._files.take(found, message.body, remaining)
        except UnreadableRequest as reason:
            logger.warning("a message cannot be read", extra={"message_id": message.id, "reason": str(reason)})
            return await self._queue.dead_letter(message.body, str(reason))
        return True

    async def _job(self, message: RequestMessage) -> str:
        """The id of the job that a request is; a new one where it is none yet."""
        job = Job(id=message.job_id, kind=message.kind, owner=message.owner, channel=message.channel)
        envelope = message.envelope
        if isinstance(envelope, InvalidRequest):
            return await self._failed(job, envelope)
        try:
            claim = claim_for(job.owner, envelope.request, envelope.id, None)
            await self._inputs.assign(job, envelope.request)
            return await self._jobs.create(job, claim=claim) or job.id
        except InvalidRequest as error:
            return await self._failed(job, error)

    async def _failed(self, job: Job, error: GatewayError) -> str:
        """Record a request that does not validate, so that whoever sent it can find out why nothing came of it."""
        job.fail(error)
        job.finished_at = utc_now()
        if await self._jobs.create(job) is None:
            await self._events.publish_completion(job)
        return job.id
