"""Sends messages again after a delay, while storage is temporarily unavailable.

Without this, the message would be invisible until its visibility timeout is over, which is a minute longer than the
longest job. A message that was sent again has a new id, so an attribute keeps what the job's id is derived from.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from image_gateway.jobs.job_queue import JobQueue
from image_gateway.worker.messages import Message
from image_gateway.worker.retry_policy import MAX_ATTEMPTS, retry_delay

RESENT_ATTRIBUTE = "Resent"
"""The message attribute with the number of times that a message was sent again, and its first time and id."""
MAX_RESENDS = 20
"""How often a message is sent again at most, in about ten minutes. After that, SQS redelivers it and counts that."""
_RESENT = re.compile(r"(\d{1,3}):(\d{13}):([\w-]{1,100})", re.ASCII)
_EPOCH = datetime.fromtimestamp(0, UTC)


async def resend(queue: JobQueue, message: Message, owner: str | None) -> bool:
    """Send a message again, after a delay of 4 to 32 s and jitter that grows each time.

    Args:
        queue: where it came from.
        message: the message.
        owner: see `JobQueue.resend`.

    Returns:
        False if it was already sent again `MAX_RESENDS` times.

    Raises:
        StorageUnavailable: SQS does not accept the message.
    """
    if message.resent >= MAX_RESENDS:
        return False
    milliseconds = (message.sent_at - _EPOCH) // timedelta(milliseconds=1)
    attributes = {RESENT_ATTRIBUTE: f"{message.resent + 1}:{milliseconds}:{message.id}"}
    delay = retry_delay(min(message.resent + 1, MAX_ATTEMPTS - 1), None)
    await queue.resend(message.body, owner=owner, delay_seconds=delay, attributes=attributes)
    return True


def original(message: Message, attributes: Mapping[str, str]) -> Message:
    """Return a received message as it was when it was first sent.

    Args:
        message: the message, with the id and the time that SQS gave it.
        attributes: its attributes; a malformed one, which only another sender can have set, is ignored.
    """
    match = _RESENT.fullmatch(attributes.get(RESENT_ATTRIBUTE, ""))
    if match is None:
        return message
    resent, milliseconds, message_id = match.groups()
    sent_at = _EPOCH + timedelta(milliseconds=int(milliseconds))
    return replace(message, id=message_id, sent_at=sent_at, redelivered=True, resent=int(resent))
