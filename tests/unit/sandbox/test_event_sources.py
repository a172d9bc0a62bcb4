"""Messages of queues become events of functions, as with Lambda's event source mappings."""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.embedded_aws import EmbeddedAws
from sandbox.event_sources import EventSources
from sandbox.lambda_service import LambdaService
from sandbox.template import Function, QueueMapping
from tests.aws_clients import aws_client
from tests.polling import until

# A group begins before single tests: these wait for seconds of real time, while others work.
pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("event sources")]

HANDLERS = '''
import json, os, pathlib, signal, time, uuid

def record(event):
    """Write the event into the folder. Other processes of the function do so at the same time."""
    file = pathlib.Path(os.environ["FOLDER"]) / f"{time.monotonic_ns()}-{uuid.uuid4().hex}.new"
    file.write_text(json.dumps(event))
    file.rename(file.with_suffix(".json"))

def succeed(event, context):
    record(event)

def fail(event, context):
    record(event)
    raise ValueError("planted failure")

def kill_itself_once(event, context):
    first = not list(pathlib.Path(os.environ["FOLDER"]).glob("*.json"))
    record(event)
    if first:
        os.kill(os.getpid(), signal.SIGKILL)

def fail_bad_messages(event, context):
    record(event)
    bad = [item for item in event["Records"] if item["body"].startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": item["messageId"]} for item in bad]}

def return_body(event, context):
    record(event)
    return json.loads(event["Records"][0]["body"])

def wait_for_go(event, context):
    record(event)
    deadline = time.monotonic() + 60
    while not (pathlib.Path(os.environ["FOLDER"]) / "go").exists():
        assert time.monotonic() < deadline, "the file go did not appear"
        time.sleep(0.01)
'''


class Source:
    """A queue with its dead-letter queue, and the events that its handler has received in another process."""

    def __init__(self, folder: Path, url: str, dead_letters_url: str) -> None:
        self.folder = folder
        self.url = url
        self.dead_letters_url = dead_letters_url
        self.sqs = aws_client("sqs")

    def send(self, *bodies: str, **options: Any) -> list[str]:
        """Send a message with each body; returns the messages' ids."""
        return [self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **options)["MessageId"] for body in bodies]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that the handler has received, in order."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]

    @property
    def bodies(self) -> list[str]:
        """The bodies of all messages that the handler has received, in order."""
        return [record["body"] for event in self.events for record in event["Records"]]

    def queue_length(self, url: str = "") -> int:
        """The number of messages in a queue, including those that were received and not deleted."""
        queue = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=["All"])["Attributes"]
        return int(queue["ApproximateNumberOfMessages"]) + int(queue["ApproximateNumberOfMessagesNotVisible"])


Start = Callable[..., Awaitable[Source]]


@pytest.fixture
async def start(embedded_aws: EmbeddedAws, tmp_path: Path) -> AsyncIterator[Start]:
    """Create a queue with a dead-letter queue and messages, and start polling it for a handler."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    sqs = aws_client("sqs")
    async with AsyncExitStack() as stack:

        async def start(
            handler: str,
            *bodies: str,
            visibility: int = 60,
            batch_size: int = 10,
            concurrency: int = 2,
            max_receives: int = 5,
        ) -> Source:
            name = f"source-{uuid.uuid4().hex[:12]}"
            folder = tmp_path / name
            folder.mkdir()
            dead_letters_url = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
            arn = f"arn:aws:sqs:eu-central-1:123456789012:{name}"
            redrive = json.dumps({"deadLetterTargetArn": f"{arn}-dead", "maxReceiveCount": max_receives})
            attributes = {"VisibilityTimeout": str(visibility), "RedrivePolicy": redrive}
            url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]  # literals
            source = Source(folder, url, dead_letters_url)
            source.send(*bodies)
            function = Function("Sample", f"handlers.{handler}", 30, 256, {"FOLDER": str(folder)})
            service = LambdaService([function], embedded_aws.variables, sys.stderr.fileno(), cwd=tmp_path)
            stack.push_async_callback(service.stop)
            mapping = QueueMapping("Sample", url, arn, batch_size, concurrency)
            await stack.enter_async_context(EventSources([mapping], service))
            return source

        yield start


async def test_a_message_becomes_an_event(start: Start) -> None:
    """A function gets a message in Lambda's format, with its attributes and its queue's ARN."""
    source = await start("succeed")
    attributes = {
        "kind": {"DataType": "String", "StringValue": "test"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }

    before = time.time()
    (message_id,) = source.send("Füchse", MessageAttributes=attributes)
    await until(lambda: bool(source.events))

    ((record,),) = [event["Records"] for event in source.events]
    assert {name: record[name] for name in ("messageId", "body", "md5OfBody", "eventSource", "awsRegion")} == {
        "messageId": message_id,
        "body": "Füchse",
        "md5OfBody": "faf897513ba5a55c754ce84f6722adbb",
        "eventSource": "aws:sqs",
        "awsRegion": "eu-central-1",
    }
    assert record["eventSourceARN"].endswith(source.url.rpartition("/")[2])
    assert record["receiptHandle"]
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(record["attributes"]["SentTimestamp"]) / 1000 - before) < 30
    assert record["messageAttributes"]["kind"]["stringValue"] == "test"
    assert record["messageAttributes"]["raw"]["binaryValue"] == "AAE="


async def test_handled_messages_are_deleted(start: Start) -> None:
    """Messages whose function succeeded leave the queue, each after one delivery."""
    source = await start("succeed", "one", "two")

    await until(lambda: source.queue_length() == 0)

    assert sorted(source.bodies) == ["one", "two"]


async def test_messages_are_delivered_in_batches(start: Start) -> None:
    """Waiting messages are delivered together, up to the mapping's batch size."""
    source = await start("succeed", *(str(number) for number in range(7)), batch_size=3)

    await until(lambda: source.queue_length() == 0)

    assert sorted(len(event["Records"]) for event in source.events) == [1, 3, 3]


async def test_only_failed_messages_of_a_batch_are_redelivered(start: Start) -> None:
    """Of a batch, only the messages that the function reports as failed are delivered again, repeatedly."""
    source = await start("fail_bad_messages", "good", "bad", "fine", visibility=1)

    await until(lambda: source.bodies.count("bad") >= 2)

    assert sorted(set(source.bodies)) == ["bad", "fine", "good"]
    assert source.bodies.count("good") == source.bodies.count("fine") == 1
    assert source.events[1]["Records"][0]["attributes"]["ApproximateReceiveCount"] == "2"


async def test_the_batch_of_a_function_that_raises_is_redelivered(start: Start) -> None:
    """When a function raises, its whole batch is delivered again."""
    source = await start("fail", "one", "two", visibility=1)

    await until(lambda: source.bodies.count("one") >= 2 and source.bodies.count("two") >= 2)


async def test_the_message_of_a_killed_process_is_redelivered(start: Start) -> None:
    """When a function's process is killed, a new process gets the message after the visibility timeout."""
    source = await start("kill_itself_once", "one", visibility=1)

    await until(lambda: source.queue_length() == 0)

    assert source.bodies == ["one", "one"]


@pytest.mark.parametrize(
    "response",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "x"}]},
        {"batchItemFailures": "x"},
        ["x"],
    ],
)
async def test_the_batch_of_a_malformed_response_is_redelivered(start: Start, response: Any) -> None:
    """A response whose failures do not have Lambda's format counts as a failure of the whole batch."""
    source = await start("return_body", json.dumps(response), visibility=1)

    await until(lambda: len(source.events) >= 2)


@pytest.mark.parametrize("response", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
async def test_the_batch_of_a_response_without_failures_is_deleted(start: Start, response: Any) -> None:
    """A response without failures counts as success of the whole batch."""
    source = await start("return_body", json.dumps(response), visibility=1)

    await until(lambda: source.queue_length() == 0)

    assert len(source.events) == 1


async def test_a_message_that_fails_too_often_is_dead_lettered(start: Start) -> None:
    """A message that was received as often as the queue allows goes to the dead-letter queue with its body."""
    source = await start("fail", "one", visibility=1, max_receives=2)

    await until(lambda: source.queue_length(source.dead_letters_url) == 1)

    assert source.bodies == ["one", "one"]
    (message,) = source.sqs.receive_message(QueueUrl=source.dead_letters_url)["Messages"]
    assert message["Body"] == "one"


async def test_simultaneous_events_are_limited_by_the_mapping(start: Start) -> None:
    """While the mapping's maximum number of events is running, further messages stay in the queue, not received."""
    source = await start("wait_for_go", "one", "two", "three", batch_size=1, concurrency=2)
    await until(lambda: len(source.events) == 2)

    queue = source.sqs.get_queue_attributes(QueueUrl=source.url, AttributeNames=["ApproximateNumberOfMessages"])
    (source.folder / "go").touch()

    assert queue["Attributes"]["ApproximateNumberOfMessages"] == "1"
    await until(lambda: source.queue_length() == 0)


async def test_a_stopped_mapping_polls_no_more(embedded_aws: EmbeddedAws, tmp_path: Path) -> None:
    """A stopped mapping polls no more: messages that are sent afterwards stay in their queue."""
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName=f"source-{uuid.uuid4().hex[:12]}")["QueueUrl"]
    service = LambdaService([], embedded_aws.variables, sys.stderr.fileno(), cwd=tmp_path)
    async with EventSources([QueueMapping("None", url, "arn", 1, 1)], service) as sources:
        pass

    assert all(task.done() for task in sources._polling)


async def test_a_missing_queue_is_polled_again(embedded_aws: EmbeddedAws, tmp_path: Path) -> None:
    """A mapping whose queue cannot be read delivers its messages as soon as it can."""
    name = f"source-{uuid.uuid4().hex[:12]}"
    (tmp_path / "handlers.py").write_text(HANDLERS)
    function = Function("Sample", "handlers.succeed", 30, 256, {"FOLDER": str(tmp_path)})
    service = LambdaService([function], embedded_aws.variables, sys.stderr.fileno(), cwd=tmp_path)
    url = f"{embedded_aws.url}/123456789012/{name}"
    async with EventSources([QueueMapping("Sample", url, "arn", 1, 1)], service):
        await asyncio.sleep(0)
        sqs = aws_client("sqs")
        sqs.create_queue(QueueName=name)
        sqs.send_message(QueueUrl=url, MessageBody="one")
        await until(lambda: bool(list(tmp_path.glob("*.json"))))
    await service.stop()
