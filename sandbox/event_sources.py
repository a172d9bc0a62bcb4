"""Lambda's event source mappings: invoke functions with the messages of queues.

moto has queues with redrive, rules with queues as targets, and S3's notifications to EventBridge. It also has event
source mappings, but those run functions in Docker containers; these use the sandbox's own environments.
"""

import asyncio
from types import TracebackType
from typing import Any, Self

from image_gateway.aws import Aws, AwsError
from sandbox.lambda_environment import FunctionError
from sandbox.lambda_service import LambdaService
from sandbox.template import REGION, QueueMapping

_WAIT_SECONDS = 20
"""Maximum wait of one poll for messages: the longest that SQS allows."""
_PAUSE_SECONDS = 1
"""Time between two polls of a queue that cannot be read."""

Message = dict[str, Any]
"""A message as SQS returns it."""


class EventSources:
    """Polls queues and invokes their functions during an `async with` block.

    A message that its function has handled is deleted. A message that failed, alone (`batchItemFailures`) or with its
    whole batch, is received again after the queue's visibility timeout.

    Args:
        mappings: which queue's messages go to which function.
        functions: the Lambda service with these functions.
    """

    def __init__(self, mappings: list[QueueMapping], functions: LambdaService) -> None:
        self._mappings = mappings
        self._functions = functions
        self._aws = Aws()
        self._polling: list[asyncio.Task[None]] = []
        self._deliveries: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start polling."""
        self._polling = [asyncio.create_task(self._poll(mapping)) for mapping in self._mappings]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop polling. Running invocations continue in the Lambda service; their messages stay in the queue."""
        tasks = [*self._polling, *self._deliveries]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._aws.aclose()

    async def _poll(self, mapping: QueueMapping) -> None:
        capacity = asyncio.Semaphore(mapping.concurrency)
        while True:
            await capacity.acquire()
            messages = await self._receive(mapping)
            if not messages:
                capacity.release()
                continue
            delivery = asyncio.create_task(self._deliver(mapping, messages))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)
            delivery.add_done_callback(lambda _: capacity.release())

    async def _receive(self, mapping: QueueMapping) -> list[Message]:
        try:
            response = await self._aws.call(
                "sqs",
                "ReceiveMessage",
                QueueUrl=mapping.url,
                MaxNumberOfMessages=mapping.batch_size,
                WaitTimeSeconds=_WAIT_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except AwsError:
            # As on AWS, a queue that cannot be read is polled again for as long as the mapping exists.
            await asyncio.sleep(_PAUSE_SECONDS)
            return []
        messages: list[Message] = response.get("Messages", [])
        return messages

    async def _deliver(self, mapping: QueueMapping, messages: list[Message]) -> None:
        try:
            response = await self._functions.invoke(mapping.function, sqs_event(messages, mapping.arn))
        except FunctionError:
            return
        failed = _failed_message_ids(response, {message["MessageId"] for message in messages})
        handled = [message for message in messages if message["MessageId"] not in failed]
        if handled:
            await self._aws.call(
                "sqs",
                "DeleteMessageBatch",
                QueueUrl=mapping.url,
                Entries=[
                    {"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]} for message in handled
                ],
            )


def sqs_event(messages: list[Message], queue_arn: str) -> dict[str, Any]:
    """Return Lambda's event for messages: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message.get("Attributes", {}),
                "messageAttributes": {
                    name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
                },
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": REGION,
            }
            for message in messages
        ]
    }


def _attribute(value: Any) -> dict[str, Any]:
    common = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        return {"stringValue": value["StringValue"], **common}
    return {"binaryValue": value["BinaryValue"], **common}


def _failed_message_ids(response: Any, batch: set[str]) -> set[str]:
    """Return the ids in a response's `batchItemFailures`; the whole batch if they are malformed, as Lambda does."""
    try:
        failed = {item["itemIdentifier"] for item in (response or {}).get("batchItemFailures") or []}
    except (AttributeError, KeyError, TypeError):
        return batch
    return batch if failed - batch else failed
