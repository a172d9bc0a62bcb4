"""The dead-letter function: a job that was given up fails with its reason; anything else is kept in the bucket."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from functions.worker.app import Answer
from functions.worker.records import message_of
from image_gateway.envelopes import JobMessage, Message, RequestMessage, Unreadable, read_message
from image_gateway.errors import Interrupted
from image_gateway.gateway import Gateway, from_environment
from image_gateway.queue import REASON
from image_gateway.runtime import run

logger = logging.getLogger(__name__)

KEPT = "dead-letters/"
"""Where messages are kept that are no jobs."""
_REASONS = (REASON, "ERROR_MESSAGE")  # the second is EventBridge's, of events that it could not deliver
_GIVEN_UP = "The worker did not get this job done, however often its message came back"


def make_handler(gateway: Callable[[], Gateway] = from_environment) -> Callable[[Any, Any], Answer]:
    """The handler of a deployment. Each message fails alone."""

    def handler(event: Any, _context: Any) -> Answer:
        return run(_take_all(gateway(), event["Records"]))

    return handler


async def _take_all(gateway: Gateway, records: list[Any]) -> Answer:
    done = await asyncio.gather(*(_take(gateway, record) for record in records))
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]}
            for record, is_done in zip(records, done, strict=True)
            if not is_done
        ]
    }


async def _take(gateway: Gateway, record: Any) -> bool:
    message = message_of(record)
    try:
        job_id = await _job_of(gateway, message)
        if job_id is not None:
            return await gateway.worker.give_up(job_id, Interrupted(_GIVEN_UP))
        reason = _reason(record)
        kept = {"reason": reason, "sent_at": message.sent_at.isoformat(), "body": message.body}
        await gateway.documents.put(f"{KEPT}{message.id}.json", kept)
    except Exception as error:  # noqa: BLE001 - the other messages of the batch must not suffer
        found = {"message_id": message.id, "error": type(error).__name__}
        logger.error("a dead letter comes back", extra=found)  # noqa: TRY400 - its message may hold what was sent
        return False
    logger.error("a message was given up and is kept", extra={"message_id": message.id, "reason": reason})
    return True


async def _job_of(gateway: Gateway, message: Message) -> str | None:
    """The job that a message names, or that its request has become; None where there is none."""
    try:
        found = read_message(message, gateway.settings.bucket)
    except Unreadable:
        return None
    if not isinstance(found, JobMessage | RequestMessage):
        return None
    return found.job_id if await gateway.jobs.get(found.job_id) else None


def _reason(record: Any) -> str:
    attributes = record.get("messageAttributes") or {}
    reasons = [attributes[name]["stringValue"] for name in _REASONS if name in attributes]
    return str(reasons[0]) if reasons else "It came back too often"


handler = make_handler()
