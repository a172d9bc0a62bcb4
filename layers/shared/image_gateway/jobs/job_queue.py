"""The queue of jobs: messages that hold a job's id and nothing else. What cannot be read goes to the dead letters."""

import json
from collections.abc import Sequence
from typing import Any

from image_gateway.aws import Aws, storage_errors
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings

MAX_DELAY_SECONDS = 900
"""Seconds; SQS delays a message no longer."""
MAX_BATCH_SIZE = 10
"""Messages; SQS takes no more in one call."""
REASON_ATTRIBUTE = "Reason"
"""The attribute of a dead letter that says why it is one."""


class JobQueue:
    """Sends jobs to the worker.

    Args:
        aws: SQS.
        settings: names the queue and the one of dead letters.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._url = settings.queue_url
        self._dead_letters = settings.dead_letter_queue_url

    async def send(self, job_id: str, *, delay_seconds: float = 0) -> None:
        """Have the worker take up a job, after a delay.

        Raises:
            StorageUnavailable: the queue does not take it.
        """
        await self._call(
            "SendMessage",
            QueueUrl=self._url,
            MessageBody=_body(job_id),
            DelaySeconds=min(round(delay_seconds), MAX_DELAY_SECONDS),
        )

    async def send_batch(self, job_ids: Sequence[str]) -> None:
        """Have the worker take up to `MAX_BATCH_SIZE` jobs.

        Raises:
            StorageUnavailable: the queue does not take all of them.
        """
        entries = [{"Id": str(number), "MessageBody": _body(job_id)} for number, job_id in enumerate(job_ids)]
        answer = await self._call("SendMessageBatch", QueueUrl=self._url, Entries=entries)
        if refused := answer.get("Failed"):
            raise StorageUnavailable(f"{len(refused)} jobs were not queued: {refused[0]['Code']}", retry_after=1)

    async def resend(self, body: str) -> None:
        """Put a message into the queue once more, for what is left to be done of it.

        Raises:
            StorageUnavailable: the queue does not take it.
        """
        await self._call("SendMessage", QueueUrl=self._url, MessageBody=body)

    async def dead_letter(self, body: str, reason: str) -> bool:
        """Put a message among the dead letters, with the reason.

        Returns:
            False if the deployment has no queue for them.

        Raises:
            StorageUnavailable: the queue does not take it.
        """
        if not self._dead_letters:
            return False
        attributes = {REASON_ATTRIBUTE: {"DataType": "String", "StringValue": reason}}
        await self._call("SendMessage", QueueUrl=self._dead_letters, MessageBody=body, MessageAttributes=attributes)
        return True

    async def dead_letter_job(self, job_id: str, reason: str) -> bool:
        """Tell, by a dead letter, of a job that was given up. Returns and raises as `dead_letter`."""
        return await self.dead_letter(_body(job_id), reason)

    async def _call(self, operation: str, **arguments: Any) -> Any:
        with storage_errors("The message was not queued"):
            return await self._aws.call("sqs", operation, **arguments)


def _body(job_id: str) -> str:
    return json.dumps({"job": job_id})
