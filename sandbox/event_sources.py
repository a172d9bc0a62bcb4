"""What Lambda's event source mappings do: messages of queues become events of functions. And who listens to the bus.

moto has queues with redrive, rules with queues as their targets, and S3's notifications to EventBridge. It also has
mappings, but these run functions in Docker containers; the ones here use the sandbox's own environments.
"""

import asyncio
import base64
import json
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.lambda_environment import FunctionError, LambdaService
from sandbox.template import REGION, QueueMapping

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_WAIT_SECONDS = 1
"""How long a poll waits for messages, and so the longest time that the sandbox's end may have to wait for one."""


class EventSources:
    """Polls queues and invokes their functions while the `async with` block runs.

    A message is deleted when its function has succeeded with it. One that failed, by itself (`batchItemFailures`) or
    with its whole batch, comes back after the queue's visibility timeout.

    Args:
        mappings: which queue's messages go to which function.
        functions: what is invoked.
    """

    def __init__(self, mappings: list[QueueMapping], functions: LambdaService) -> None:
        self._mappings = mappings
        self._functions = functions
        self._sqs = boto3.client("sqs")
        self._polling: list[asyncio.Task[None]] = []
        self._delivering: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Start polling."""
        self._polling = [asyncio.create_task(self._poll(mapping)) for mapping in self._mappings]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; events that are under way are the functions' affair, their messages stay."""
        ending = [*self._polling, *self._delivering]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _poll(self, mapping: QueueMapping) -> None:
        turns = asyncio.Semaphore(mapping.concurrency)
        while True:
            await turns.acquire()
            messages = await self._receive(mapping)
            if not messages:
                turns.release()
                continue
            delivering = asyncio.create_task(self._deliver(mapping, messages))
            self._delivering.add(delivering)
            delivering.add_done_callback(self._delivering.discard)
            delivering.add_done_callback(lambda _: turns.release())

    async def _receive(self, mapping: QueueMapping) -> "list[MessageTypeDef]":
        try:
            answer = await asyncio.to_thread(
                self._sqs.receive_message,
                QueueUrl=mapping.url,
                MaxNumberOfMessages=mapping.batch_size,
                WaitTimeSeconds=_WAIT_SECONDS,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        except (BotoCoreError, ClientError):
            # As on AWS a queue that cannot be read is tried again, for as long as the mapping exists.
            await asyncio.sleep(_WAIT_SECONDS)
            return []
        return answer.get("Messages", [])

    async def _deliver(self, mapping: QueueMapping, messages: "list[MessageTypeDef]") -> None:
        try:
            answer = await self._functions.invoke(mapping.function, sqs_event(messages, mapping.arn))
        except FunctionError:
            return
        failed = _failed(answer, {message["MessageId"] for message in messages})
        done = [message for message in messages if message["MessageId"] not in failed]
        if done:
            await asyncio.to_thread(
                self._sqs.delete_message_batch,
                QueueUrl=mapping.url,
                Entries=[{"Id": one["MessageId"], "ReceiptHandle": one["ReceiptHandle"]} for one in done],
            )


class BusListener:
    """Keeps the events of one source, from when it is made.

    Args:
        name: of the rule and of the queue that it makes.
        bus: the event bus.
        source: whose events.
    """

    def __init__(self, name: str, bus: str, source: str) -> None:
        self._sqs = boto3.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self._heard: list[dict[str, Any]] = []
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        events = boto3.client("events")
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(
            Rule=name, EventBusName=bus, Targets=[{"Id": "listener", "Arn": found["Attributes"]["QueueArn"]}]
        )

    def events(self) -> list[dict[str, Any]]:
        """All events until now, in the order they came."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._heard.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return list(self._heard)


def sqs_event(messages: "list[MessageTypeDef]", queue_arn: str) -> dict[str, Any]:
    """The event that Lambda makes of messages: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html."""
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
    given = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        return {"stringValue": value["StringValue"], **given}
    return {"binaryValue": base64.b64encode(value["BinaryValue"]).decode(), **given}


def _failed(answer: Any, batch: set[str]) -> set[str]:
    """The messages that a function says have failed; all of them where it does not say it as Lambda wants it."""
    try:
        failed = {item["itemIdentifier"] for item in (answer or {}).get("batchItemFailures") or []}
    except (AttributeError, KeyError, TypeError):
        return batch
    return batch if failed - batch else failed
