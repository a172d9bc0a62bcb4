"""Dispatches queue messages to the worker, to the ingestion of request files, or to recovery."""

import logging
from collections.abc import Callable

from image_gateway.batches.ingestion import RequestFileIngester
from image_gateway.errors import (
    Busy,
    GatewayError,
    InvalidRequest,
    LimitExceeded,
    NotConfigured,
    StorageUnavailable,
)
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.envelope_parsing import UnreadableRequest
from image_gateway.jobs.idempotency import claim_for
from image_gateway.jobs.input_loading import JobInputs
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.repeated_requests import create_job, find_earlier_job
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job, utc_now
from image_gateway.worker.messages import (
    JobMessage,
    Message,
    RecoveryMessage,
    RequestMessage,
    owner_of,
    read_message,
)
from image_gateway.worker.recovery import Recovery
from image_gateway.worker.resending import resend
from image_gateway.worker.worker import Worker

logger = logging.getLogger(__name__)


class Dispatcher:
    """Dispatches the messages of one deployment.

    Args:
        bucket: name of the gateway's bucket, the only one whose request files are accepted.
        jobs: where jobs are stored.
        inputs: stores the requests' image references.
        ingester: creates the jobs of request files.
        recovery: queues jobs again whose message is gone.
        worker: processes jobs.
        queue: takes unreadable messages as dead letters.
        announcements: publishes the completion of requests that do not validate.
    """

    def __init__(
        self,
        *,
        bucket: str,
        jobs: JobStore,
        inputs: JobInputs,
        ingester: RequestFileIngester,
        recovery: Recovery,
        worker: Worker,
        queue: JobQueue,
        announcements: Announcements,
    ) -> None:
        self._bucket = bucket
        self._jobs = jobs
        self._inputs = inputs
        self._ingester = ingester
        self._recovery = recovery
        self._worker = worker
        self._queue = queue
        self._announcements = announcements

    async def dispatch(self, message: Message, remaining: Callable[[], float]) -> bool:
        """Process one message. If storage is unavailable or busy for a while, the message is sent again with a delay.

        Args:
            message: from the queue.
            remaining: returns the seconds that the invocation has left.

        Returns:
            True if the message is processed or sent again; False if it must be redelivered, as by `Worker.process`.

        Raises:
            Busy: a budget was busy; the message must be redelivered.
            StorageUnavailable: the table, the bucket or the queue failed; likewise.
        """
        try:
            return await self._process(message, remaining)
        except (Busy, StorageUnavailable) as error:
            if not error.should_retry or not await resend(self._queue, message, owner_of(message, self._bucket)):
                raise
            fields = {"message_id": message.id, "resent": message.resent + 1, "reason": error.detail}
            logger.warning("a message could not be processed and is sent again", extra=fields)
            return True

    async def _process(self, message: Message, remaining: Callable[[], float]) -> bool:
        try:
            content = read_message(message, self._bucket)
            if isinstance(content, JobMessage):
                return await self._worker.process(content.job_id, remaining, redelivered=message.redelivered)
            if isinstance(content, RequestMessage):
                return await self._process_request(content, remaining, redelivered=message.redelivered)
            if isinstance(content, RecoveryMessage):
                await self._recovery.run(content.time)
                return True
            await self._ingester.ingest(content, message.body, remaining)
        except UnreadableRequest as reason:
            logger.warning("a message cannot be read", extra={"message_id": message.id, "reason": str(reason)})
            return await self._queue.dead_letter(message.body, str(reason))
        return True

    async def _process_request(
        self, message: RequestMessage, remaining: Callable[[], float], *, redelivered: bool
    ) -> bool:
        """Create the job of a request unless it exists, and process it. Returns and raises as `dispatch`.

        The job of an earlier message with the same request has a message of its own. Where it has ended, its end is
        announced again, for the sender of this message.
        """
        earlier = await self._create_job(message)
        if earlier is None or earlier.id == message.job_id:
            return await self._worker.process(message.job_id, remaining, redelivered=redelivered)
        return not earlier.ended or await self._announcements.announce_again(earlier, redelivered=redelivered)

    async def _create_job(self, message: RequestMessage) -> Job | None:
        """Create the job of a request. Return the existing job of the same request, if there is one."""
        job = Job(id=message.job_id, kind=message.kind, owner=message.owner, channel=message.channel)
        envelope = message.envelope
        if isinstance(envelope, InvalidRequest):
            await self._create_failed_job(job, envelope)
            return None
        try:
            claim = claim_for(job.owner, envelope.request, envelope.id, None)
            if earlier := await find_earlier_job(self._jobs, claim, own_id=job.id):
                return earlier
            scopes = await self._inputs.attach_request(job, envelope.request)
            return await create_job(self._jobs, job, claim, scopes=scopes)
        except (InvalidRequest, LimitExceeded, NotConfigured) as error:
            await self._create_failed_job(job, error)
            return None

    async def _create_failed_job(self, job: Job, error: GatewayError) -> None:
        """Store a failed job for a request that is refused, so that its sender can find the reason."""
        job.reserved = 0
        job.fail(error)
        job.finished_at = utc_now()
        if await self._jobs.create(job) is None:
            # A refused event is sent again while this message is processed, or when it is redelivered.
            await self._announcements.announce_by_message(job)
