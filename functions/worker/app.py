"""The worker function: does queued jobs, and takes in requests by SQS, EventBridge and files in the bucket."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypedDict

from functions.worker.records import message_of
from image_gateway.gateway import Gateway, from_environment
from image_gateway.runtime import run

logger = logging.getLogger(__name__)


class Failure(TypedDict):
    """A message that must come back."""

    itemIdentifier: str


class Answer(TypedDict):
    """What Lambda's poller of SQS is told (`ReportBatchItemFailures`)."""

    batchItemFailures: list[Failure]


def make_handler(gateway: Callable[[], Gateway] = from_environment) -> Callable[[Any, Any], Answer]:
    """The handler of a deployment. All messages of a batch are taken at the same time, and each fails alone."""

    def handler(event: Any, context: Any) -> Answer:
        return run(_take_all(gateway(), event["Records"], lambda: context.get_remaining_time_in_millis() / 1000))

    return handler


async def _take_all(gateway: Gateway, records: list[Any], remaining: Callable[[], float]) -> Answer:
    done = await asyncio.gather(*(_take(gateway, record, remaining) for record in records))
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]}
            for record, is_done in zip(records, done, strict=True)
            if not is_done
        ]
    }


async def _take(gateway: Gateway, record: Any, remaining: Callable[[], float]) -> bool:
    try:
        return await gateway.intake.take(message_of(record), remaining)
    except Exception as error:  # noqa: BLE001 - the other messages of the batch must not suffer
        # Its message may hold what a sender sent.
        found = {"message_id": record["messageId"], "error": type(error).__name__}
        logger.error("a message comes back", extra=found)  # noqa: TRY400
        return False


handler = make_handler()
