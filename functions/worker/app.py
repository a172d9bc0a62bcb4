"""The worker function: runs queued jobs, and accepts requests by SQS, EventBridge and request files in the bucket."""

from collections.abc import Callable
from typing import Any

from functions.worker.records import BatchResponse, process_records, to_message
from image_gateway.container import Gateway, from_environment
from image_gateway.event_loop import run
from image_gateway.telemetry import quiet_httpx


def make_handler(gateway: Callable[[], Gateway] = from_environment) -> Callable[[Any, Any], BatchResponse]:
    """Create the handler of a deployment. One invocation processes the messages of its batch concurrently."""
    quiet_httpx()

    def handler(event: Any, context: Any) -> BatchResponse:
        # If the settings are invalid, this fails the invocation, and Lambda logs the reason.
        dispatcher = gateway().worker_parts.dispatcher

        async def process(record: Any) -> bool:
            return await dispatcher.dispatch(to_message(record), lambda: context.get_remaining_time_in_millis() / 1000)

        return run(process_records(event["Records"], process))

    return handler


handler = make_handler()
