"""The dead-letter function: a job that was given up fails with its reason; anything else is kept in the bucket.

Of a request file that was begun, what is not queued fails too, so that the rest has its results.
"""

import logging
from collections.abc import Callable
from typing import Any

from functions.worker.records import Answer, take_all, to_message
from image_gateway.batches.request_file import RequestFile
from image_gateway.container import Gateway, from_environment
from image_gateway.errors import Interrupted
from image_gateway.event_loop import run
from image_gateway.jobs.envelope_parsing import UnreadableRequest
from image_gateway.jobs.job_queue import REASON_ATTRIBUTE
from image_gateway.telemetry import quiet_httpx
from image_gateway.worker.messages import JobMessage, Message, RequestMessage, Tick, read_message

logger = logging.getLogger(__name__)

KEPT = "dead-letters/"
"""Where messages are kept that are no jobs."""
_REASONS = (REASON_ATTRIBUTE, "ERROR_MESSAGE")  # the second is EventBridge's, of events that it could not deliver
_GIVEN_UP = "The worker did not get this job done, however often its message came back"


def make_handler(gateway: Callable[[], Gateway] = from_environment) -> Callable[[Any, Any], Answer]:
    """The handler of a deployment."""
    quiet_httpx()

    def handler(event: Any, _context: Any) -> Answer:
        return run(take_all(event["Records"], lambda record: _take(gateway(), record)))

    return handler


async def _take(gateway: Gateway, record: Any) -> bool:
    message = to_message(record)
    found = _read(gateway, message)
    if isinstance(found, JobMessage | RequestMessage) and await gateway.jobs.get(found.job_id):
        return await gateway.worker.give_up(found.job_id, Interrupted(_GIVEN_UP), again=message.again)
    reason = _reason(record)
    if isinstance(found, RequestFile):
        await gateway.files.give_up(found, reason)
    kept = {"reason": reason, "sent_at": message.sent_at.isoformat(), "body": message.body}
    await gateway.objects.put_json(f"{KEPT}{message.id}.json", kept)
    logger.error("a message was given up and is kept", extra={"message_id": message.id, "reason": reason})
    return True


def _read(gateway: Gateway, message: Message) -> JobMessage | RequestMessage | RequestFile | Tick | None:
    """What a message is; None where it is nothing."""
    try:
        return read_message(message, gateway.settings.bucket)
    except UnreadableRequest:
        return None


def _reason(record: Any) -> str:
    attributes = record.get("messageAttributes") or {}
    reasons = [attributes[name]["stringValue"] for name in _REASONS if name in attributes]
    return str(reasons[0]) if reasons else "It came back too often"


handler = make_handler()
