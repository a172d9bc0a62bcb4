"""The SQS queue of jobs, and its dead-letter queue. A job's message contains only the job's id.

The queue is a fair queue: the owner of a job is the message group of its messages. If one owner has many messages in
flight, SQS delivers the messages of others first. Source: SQS developer guide, "How Amazon SQS fair queues work".
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from image_gateway.aws import Aws, storage_errors
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings

MAX_DELAY_SECONDS = 900
"""The longest delay of a message in SQS."""
MAX_BATCH_SIZE = 10
"""The most messages that SQS accepts in one call."""
_GROUP = re.compile(r"[!-~]{1,128}")
"""What a message group may be: letters, digits and punctuation of ASCII."""
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

    async def send(self, job_id: str, *, owner: str, delay_seconds: float = 0) -> None:
        """Send a job to the worker.

        Args:
            job_id: the job.
            owner: its owner, among whom the worker's time is shared fairly.
            delay_seconds: the message arrives after this time, or after `MAX_DELAY_SECONDS` if that is less.

        Raises:
            StorageUnavailable: SQS does not accept the message.
        """
        await self._call(
            "SendMessage",
            QueueUrl=self._url,
            MessageBody=_body(job_id),
            MessageGroupId=message_group(owner),
            DelaySeconds=min(round(delay_seconds), MAX_DELAY_SECONDS),
        )

    async def send_batch(self, jobs: Sequence[tuple[str, str]]) -> None:
        """Send up to `MAX_BATCH_SIZE` jobs to the worker.

        Args:
            jobs: the id and the owner of each job.

        Raises:
            StorageUnavailable: SQS does not accept all of the messages.
        """
        entries = [
            {"Id": str(number), "MessageBody": _body(job_id), "MessageGroupId": message_group(owner)}
            for number, (job_id, owner) in enumerate(jobs)
        ]
        response = await self._call("SendMessageBatch", QueueUrl=self._url, Entries=entries)
        if failed := response.get("Failed"):
            raise StorageUnavailable(f"{len(failed)} jobs were not queued: {failed[0]['Code']}", retry_after=1)

    async def resend(
        self,
        body: str,
        *,
        owner: str | None,
        delay_seconds: float = 0,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Send a message again: for the rest of its work, or because it could not be processed.

        Args:
            body: of the message.
            owner: the owner of its jobs, or the message group that it had; None if it belongs to nobody.
            delay_seconds: after this time, the message arrives.
            attributes: texts to send with it, by name.

        Raises:
            StorageUnavailable: SQS does not accept the message.
        """
        await self._call(
            "SendMessage",
            QueueUrl=self._url,
            MessageBody=body,
            DelaySeconds=round(delay_seconds),
            **({"MessageGroupId": message_group(owner)} if owner else {}),
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


def message_group(owner: str) -> str:
    """Return the message group of an owner: the owner itself if SQS accepts it, else its hash.

    The source of an event, which is a part of its owner, may have 256 characters of any kind.
    """
    return owner if _GROUP.fullmatch(owner) else f"sha256:{hashlib.sha256(owner.encode()).hexdigest()}"


def _body(job_id: str) -> str:
    return json.dumps({"job": job_id})


def _attributes(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
