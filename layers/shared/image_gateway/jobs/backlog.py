"""What waits in a deployment: the depth of its queues, the oldest job that waits, and kept dead letters."""

import asyncio
from typing import Any

from image_gateway import __version__
from image_gateway.aws import Aws, Bucket, storage_errors
from image_gateway.jobs.reader import MAX_READ_PER_PAGE, JobReader
from image_gateway.models.health import DeadLetters, HealthReport, QueueDepth, WaitingJob
from image_gateway.settings import Settings

DEAD_LETTERS_PREFIX = "dead-letters/"
"""Key prefix of messages that belong to no job."""

_PAGE = 100
_COUNTS = {
    "waiting": "ApproximateNumberOfMessages",
    "received": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


class Backlog:
    """Reads the queues of one deployment.

    Args:
        aws: SQS and S3.
        settings: names the queues and the bucket.
        jobs: the deployment's jobs.
    """

    def __init__(self, aws: Aws, settings: Settings, jobs: JobReader) -> None:
        self._aws = aws
        self._settings = settings
        self._bucket = Bucket(aws, settings.bucket)
        self._jobs = jobs

    async def report(self) -> HealthReport:
        """Return the state of everything that waits.

        Raises:
            StorageUnavailable: SQS, the table or the bucket does not respond.
        """
        depth, dead, kept = await asyncio.gather(
            self._depth(self._settings.queue_url), self._depth(self._settings.dead_letter_queue_url), self._kept()
        )
        is_idle = depth == QueueDepth(waiting=0, received=0, delayed=0)
        return HealthReport(
            version=__version__,
            queue=depth,
            # Jobs are read only if there is a message that one of them may wait for.
            oldest_job=None if is_idle else await self._oldest_job(),
            dead_letters=DeadLetters(
                waiting=dead.waiting + dead.received + dead.delayed,
                kept=len(kept),
                newest_at=max(kept, default=None),
            ),
        )

    async def _depth(self, url: str) -> QueueDepth:
        if not url:
            return QueueDepth(waiting=0, received=0, delayed=0)
        with storage_errors("The queue's attributes cannot be read"):
            response = await self._aws.call(
                "sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=list(_COUNTS.values())
            )
        attributes: dict[str, Any] = response.get("Attributes", {})
        return QueueDepth(**{name: int(attributes.get(attribute, 0)) for name, attribute in _COUNTS.items()})

    async def _kept(self) -> list[Any]:
        with storage_errors("The dead letters cannot be listed"):
            return await self._bucket.times(DEAD_LETTERS_PREFIX)

    async def _oldest_job(self) -> WaitingJob | None:
        """Return the oldest job that waits, among as many of the newest as are read for one page of a list."""
        oldest = None
        cursor: str | None = None
        for _ in range(MAX_READ_PER_PAGE // _PAGE):
            jobs, cursor = await self._jobs.page(owner=None, status="queued", limit=_PAGE, cursor=cursor)
            oldest = jobs[-1] if jobs else oldest
            if cursor is None or len(jobs) < _PAGE:
                break
        return WaitingJob(id=oldest.id, created_at=oldest.created_at) if oldest else None
