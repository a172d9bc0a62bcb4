"""The dead-letter function: fails jobs that were given up, and keeps all other messages in the bucket.

For a request file whose lines are partly queued, the other lines fail too, so that the file gets its results.
"""

import logging
from collections.abc import Callable
from typing import Any

from functions.worker.records import BatchResponse, process_records, to_message
from image_gateway.aws import Remaining
from image_gateway.batches.request_file import RequestFile
from image_gateway.container import Gateway, from_environment
from image_gateway.errors import Interrupted
from image_gateway.event_loop import run
from image_gateway.jobs.backlog import DEAD_LETTERS_PREFIX
from image_gateway.jobs.envelope_parsing import UnreadableRequest
from image_gateway.jobs.job_queue import REASON_ATTRIBUTE
from image_gateway.telemetry import quiet_httpx
from image_gateway.worker.messages import JobMessage, Message, RecoveryMessage, RequestMessage, read_message

logger = logging.getLogger(__name__)

_REASON_ATTRIBUTES = (REASON_ATTRIBUTE, "ERROR_MESSAGE")  # EventBridge sets the second on events it cannot deliver
_JOB_GIVEN_UP = "The worker could not complete this job, although its message was delivered several times"


def make_handler(gateway: Callable[[], Gateway] = from_environment) -> Callable[[Any, Any], BatchResponse]:
    """Create the handler of a deployment."""
    quiet_httpx()

    def handler(event: Any, context: Any) -> BatchResponse:
        # If the settings are invalid, this fails the invocation, and Lambda logs the reason.
        deployment = gateway()

        def remaining() -> float:
            return float(context.get_remaining_time_in_millis() / 1000)

        return run(process_records(event["Records"], lambda record: _process(deployment, record, remaining)))

    return handler


async def _process(gateway: Gateway, record: Any, remaining: Remaining) -> bool:
    message = to_message(record)
    content = _read(gateway, message)
    if isinstance(content, JobMessage | RequestMessage) and await gateway.jobs.get(content.job_id):
        error = Interrupted(_JOB_GIVEN_UP)
        return await gateway.worker_parts.completion.give_up(
            content.job_id, error, remaining, redelivered=message.redelivered
        )
    reason = _reason(record)
    if isinstance(content, RequestFile):
        await gateway.worker_parts.ingester.give_up(content, reason)
    document = {"reason": reason, "sent_at": message.sent_at.isoformat(), "body": message.body}
    await gateway.objects.put_json(f"{DEAD_LETTERS_PREFIX}{message.id}.json", document)
    logger.error("a message was given up and is kept", extra={"message_id": message.id, "reason": reason})
    return True


def _read(gateway: Gateway, message: Message) -> JobMessage | RequestMessage | RequestFile | RecoveryMessage | None:
    """Classify a message and parse its body; None if it cannot be read."""
    try:
        return read_message(message, gateway.settings.bucket)
    except UnreadableRequest:
        return None


def _reason(record: Any) -> str:
    attributes = record.get("messageAttributes") or {}
    reasons = [attributes[name]["stringValue"] for name in _REASON_ATTRIBUTES if name in attributes]
    return str(reasons[0]) if reasons else "It was delivered too often"


handler = make_handler()
