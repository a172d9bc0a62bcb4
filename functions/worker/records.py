"""Batches of messages as Lambda's poller of SQS hands them on, and the answer that it expects."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from image_gateway.worker.messages import Message

logger = logging.getLogger(__name__)


class Failure(TypedDict):
    """A message that must come back."""

    itemIdentifier: str


class Answer(TypedDict):
    """What the poller is told (`ReportBatchItemFailures`)."""

    batchItemFailures: list[Failure]


Take = Callable[[Any], Awaitable[bool]]
"""Takes one record; False where its message must come back."""


async def take_all(records: Sequence[Any], take: Take) -> Answer:
    """Take all records of a batch at the same time; each fails alone."""
    done = await asyncio.gather(*(_guarded(record, take) for record in records))
    failed = [record["messageId"] for record, is_done in zip(records, done, strict=True) if not is_done]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def message_of(record: Any) -> Message:
    """The message of a record; the time it was sent is in milliseconds since 1970."""
    sent_at = datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)
    again = int(record["attributes"]["ApproximateReceiveCount"]) > 1
    return Message(record["messageId"], record["body"], sent_at, again)


async def _guarded(record: Any, take: Take) -> bool:
    try:
        return await take(record)
    except Exception as error:  # noqa: BLE001 - the other messages of the batch must not suffer
        # Its own message may hold what a sender sent.
        found = {"message_id": record["messageId"], "error": type(error).__name__}
        logger.error("a message comes back", extra=found)  # noqa: TRY400 - its text may hold a prompt
        return False
