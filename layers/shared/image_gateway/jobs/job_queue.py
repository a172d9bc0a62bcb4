"""The SQS queue of jobs, and its dead-letter queue. A job's message contains only the job's id."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from image_gateway.aws import Aws, storage_errors
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings

MAX_DELAY_SECONDS = 900
"""The longest delay of a message in SQS."""
MAX_BATCH_SIZE = 10
"""The most messages that SQS accepts in one call."""
REASON_ATTRIBUTE = "Reason"
"""The message attribute with the reason for a dead letter."""


class JobQueue:
    """Sends jobs to the worker.

    Args:
        aws: SQS.
        settings: names the queue and the dead-letter queue.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._url = settings.queue_url
        self._dead_letter_url = settings.dead_letter_queue_url

    async def send(self, job_id: str, *, delay_seconds: float = 0) -> None:
        """Send a job to the worker; the message arrives after a delay of at most `MAX_DELAY_SECONDS`.

        Raises:
            StorageUnavailable: SQS does not accept the message.
        """
        await self._call(
            "SendMessage",
            QueueUrl=self._url,
            MessageBody=_body(job_id),
            DelaySeconds=min(round(delay_seconds), MAX_DELAY_SECONDS),
        )

    async def send_batch(self, job_ids: Sequence[str]) -> None:
        """Send up to `MAX_BATCH_SIZE` jobs to the worker.

        Raises:
            StorageUnavailable: SQS does not accept all of the messages.
        """
        entries = [{"Id": str(number), "MessageBody": _body(job_id)} for number, job_id in enumerate(job_ids)]
        response = await self._call("SendMessageBatch", QueueUrl=self._url, Entries=entries)
        if failed := response.get("Failed"):
            raise StorageUnavailable(f"{len(failed)} jobs were not queued: {failed[0]['Code']}", retry_after=1)

    async def resend(self, body: str, *, delay_seconds: float = 0, attributes: Mapping[str, str] | None = None) -> None:
        """Send a message again: for the rest of its work, or because it could not be processed.

        Raises:
            StorageUnavailable: SQS does not accept the message.
        """
        await self._call(
            "SendMessage",
            QueueUrl=self._url,
            MessageBody=body,
            DelaySeconds=round(delay_seconds),
            **({"MessageAttributes": _attributes(attributes)} if attributes else {}),
        )

    async def dead_letter(self, body: str, reason: str) -> bool:
        """Send a message to the dead-letter queue, with the reason.

        Returns:
            False if the deployment has no dead-letter queue.

        Raises:
            StorageUnavailable: SQS does not accept the message.
        """
        if not self._dead_letter_url:
            return False
        attributes = _attributes({REASON_ATTRIBUTE: reason})
        await self._call("SendMessage", QueueUrl=self._dead_letter_url, MessageBody=body, MessageAttributes=attributes)
        return True

    async def dead_letter_job(self, job_id: str, reason: str) -> bool:
        """Send a dead letter for a job that was given up. Returns and raises as `dead_letter`."""
        return await self.dead_letter(_body(job_id), reason)

    async def _call(self, operation: str, **arguments: Any) -> Any:
        with storage_errors("The message was not queued"):
            return await self._aws.call("sqs", operation, **arguments)


def _body(job_id: str) -> str:
    return json.dumps({"job": job_id})


def _attributes(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
