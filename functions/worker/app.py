"""The worker function: does queued jobs, and takes in requests by SQS, EventBridge and files in the bucket."""

from collections.abc import Callable
from typing import Any

from functions.worker.records import Answer, message_of, take_all
from image_gateway.container import Gateway, from_environment
from image_gateway.event_loop import run
from image_gateway.telemetry import quiet_httpx


def make_handler(gateway: Callable[[], Gateway] = from_environment) -> Callable[[Any, Any], Answer]:
    """The handler of a deployment. One invocation does all messages of its batch at the same time."""
    quiet_httpx()

    def handler(event: Any, context: Any) -> Answer:
        async def take(record: Any) -> bool:
            return await gateway().dispatcher.take(
                message_of(record), lambda: context.get_remaining_time_in_millis() / 1000
            )

        return run(take_all(event["Records"], take))

    return handler


handler = make_handler()
