"""Batches of SQS messages as Lambda delivers them, and the response that Lambda expects."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from image_gateway.worker.messages import Message
from image_gateway.worker.resending import original

logger = logging.getLogger(__name__)


class BatchItemFailure(TypedDict):
    """A message that must be redelivered."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """The response to a batch of messages (`ReportBatchItemFailures`)."""

    batchItemFailures: list[BatchItemFailure]


ProcessRecord = Callable[[Any], Awaitable[bool]]
"""Processes one record; returns False if its message must be redelivered."""


async def process_records(records: Sequence[Any], process: ProcessRecord) -> BatchResponse:
    """Process all records of a batch concurrently. A record that fails does not affect the others."""
    processed = await asyncio.gather(*(_process_one(record, process) for record in records))
    failed = [record["messageId"] for record, success in zip(records, processed, strict=True) if not success]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def to_message(record: Any) -> Message:
    """Return the message of a record as it was first sent. `SentTimestamp` is in milliseconds since 1970."""
    sent_at = datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)
    redelivered = int(record["attributes"]["ApproximateReceiveCount"]) > 1
    attributes = record.get("messageAttributes") or {}
    texts = {name: value["stringValue"] for name, value in attributes.items() if "stringValue" in value}
    group = record["attributes"].get("MessageGroupId")
    return original(Message(record["messageId"], record["body"], sent_at, redelivered, group), texts)


async def _process_one(record: Any, process: ProcessRecord) -> bool:
    try:
        return await process(record)
    except Exception as error:  # noqa: BLE001 - a defect must not fail the other messages of the batch
        fields = {"message_id": record["messageId"], "error": type(error).__name__}
        logger.error("a message failed and is redelivered", extra=fields)  # noqa: TRY400 - the error may quote a prompt
        return False
