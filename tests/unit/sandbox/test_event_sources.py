"""Queues' messages become events of functions, as Lambda's event source mappings make them."""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.bus_listener import BusListener
from sandbox.embedded_aws import EmbeddedAws
from sandbox.event_sources import EventSources
from sandbox.lambda_service import LambdaService
from sandbox.template import Function, QueueMapping

pytestmark = pytest.mark.anyio

HANDLERS = '''
import json, os, pathlib, signal, time, uuid

def note(event):
    """Write down what came."""
    folder = pathlib.Path(os.environ["FOLDER"])
    (folder / "new").write_text(json.dumps(event))
    (folder / "new").rename(folder / f"{time.monotonic_ns()}-{uuid.uuid4().hex}.json")

def succeed(event, context):
    note(event)

def fail(event, context):
    note(event)
    raise ValueError("planted failure")

def die_once(event, context):
    first = not list(pathlib.Path(os.environ["FOLDER"]).glob("*.json"))
    note(event)
    if first:
        os.kill(os.getpid(), signal.SIGKILL)

def fail_bad_ones(event, context):
    note(event)
    bad = [record for record in event["Records"] if record["body"].startswith("bad")]
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in bad]}

def say(event, context):
    note(event)
    return json.loads(event["Records"][0]["body"])

def meet(event, context):
    note(event)
    deadline = time.monotonic() + 20
    while not (pathlib.Path(os.environ["FOLDER"]) / "go").exists():
        assert time.monotonic() < deadline, "nobody said go"
        time.sleep(0.01)
'''


class Source:
    """A queue of its own, whose messages a handler gets in a process of its own."""

    def __init__(self, folder: Path, url: str, dead_letters: str) -> None:
        self.folder = folder
        self.url = url
        self.dead_letters = dead_letters
        self.sqs = boto3.client("sqs")

    def send(self, *bodies: str, **options: Any) -> list[str]:
        """Send a message of each body; gives their ids."""
        return [self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **options)["MessageId"] for body in bodies]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the handler was given, in order."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*.json"))]

    @property
    def bodies(self) -> list[str]:
        """The bodies of all messages that the handler was given, in order."""
        return [record["body"] for event in self.events for record in event["Records"]]

    def left(self, url: str = "") -> int:
        """How many messages a queue has, waiting or taken."""
        found = self.sqs.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])


Start = Callable[..., Awaitable[Source]]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


@pytest.fixture
async def start(embedded_aws: EmbeddedAws, tmp_path: Path) -> AsyncIterator[Start]:
    """Make a queue with a dead-letter queue, send messages, and give them to a handler from then on."""
    (tmp_path / "tiny.py").write_text(HANDLERS)
    sqs = boto3.client("sqs")
    async with AsyncExitStack() as stack:

        async def start(
            handler: str, *sent: str, visibility: int = 60, batch_size: int = 10, concurrency: int = 2, times: int = 5
        ) -> Source:
            name = f"source-{uuid.uuid4().hex[:12]}"
            folder = tmp_path / name
            folder.mkdir()
            dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
            arns = [f"arn:aws:sqs:eu-central-1:123456789012:{name}{ending}" for ending in ("", "-dead")]
            redrive = json.dumps({"deadLetterTargetArn": arns[1], "maxReceiveCount": times})
            attributes = {"VisibilityTimeout": str(visibility), "RedrivePolicy": redrive}
            url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type]  # literals
            source = Source(folder, url, dead)
            source.send(*sent)
            function = Function("Tiny", f"tiny.{handler}", 30, 256, {"FOLDER": str(folder)})
            service = LambdaService([function], embedded_aws.variables, sys.stderr.fileno(), cwd=tmp_path)
            stack.push_async_callback(service.stop)
            mapping = QueueMapping("Tiny", url, arns[0], batch_size, concurrency)
            await stack.enter_async_context(EventSources([mapping], service))
            return source

        yield start


async def test_a_message_becomes_an_event(start: Start) -> None:
    """A function gets a message in the shape that Lambda gives it, with its attributes and its queue's ARN."""
    source = await start("succeed")
    attributes = {
        "kind": {"DataType": "String", "StringValue": "test"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }

    before = time.time()
    (sent,) = source.send("Füchse", MessageAttributes=attributes)
    await eventually(lambda: bool(source.events))

    ((record,),) = [event["Records"] for event in source.events]
    assert {name: record[name] for name in ("messageId", "body", "md5OfBody", "eventSource", "awsRegion")} == {
        "messageId": sent,
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


async def test_what_succeeded_is_deleted(start: Start) -> None:
    """Messages whose function ended well leave the queue, each after one delivery."""
    source = await start("succeed", "one", "two")

    await eventually(lambda: source.left() == 0)

    assert sorted(source.bodies) == ["one", "two"]


async def test_messages_come_in_batches(start: Start) -> None:
    """Messages that wait come together, no more at once than the mapping's batch size."""
    source = await start("succeed", *(str(number) for number in range(7)), batch_size=3)

    await eventually(lambda: source.left() == 0)

    assert [len(event["Records"]) for event in source.events] == [3, 3, 1]


async def test_only_what_failed_comes_back(start: Start) -> None:
    """Of a batch, messages that the function names as failed come back, again and again; the others do not."""
    source = await start("fail_bad_ones", "good", "bad", "fine", visibility=1)

    await eventually(lambda: source.bodies.count("bad") >= 2)

    assert sorted(set(source.bodies)) == ["bad", "fine", "good"]
    assert source.bodies.count("good") == source.bodies.count("fine") == 1
    assert source.events[1]["Records"][0]["attributes"]["ApproximateReceiveCount"] == "2"


async def test_a_failed_function_leaves_its_batch(start: Start) -> None:
    """When a function raises, its whole batch comes back."""
    source = await start("fail", "one", "two", visibility=1)

    await eventually(lambda: source.bodies.count("one") >= 2 and source.bodies.count("two") >= 2)


async def test_a_killed_function_leaves_its_batch(start: Start) -> None:
    """When a function's process dies, its message comes back after the visibility timeout, to a new process."""
    source = await start("die_once", "one", visibility=1)

    await eventually(lambda: source.left() == 0)

    assert source.bodies == ["one", "one"]


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "x"}]},
        {"batchItemFailures": "x"},
        ["x"],
    ],
)
async def test_an_answer_that_lambda_does_not_understand(start: Start, answer: Any) -> None:
    """An answer that names failures in another way than Lambda's counts as a failure of the whole batch."""
    source = await start("say", json.dumps(answer), visibility=1)

    await eventually(lambda: len(source.events) >= 2)


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
async def test_an_answer_without_failures(start: Start, answer: Any) -> None:
    """An answer that names no failure is a success of the whole batch."""
    source = await start("say", json.dumps(answer), visibility=1)

    await eventually(lambda: source.left() == 0)

    assert len(source.events) == 1


async def test_what_fails_too_often_is_a_dead_letter(start: Start) -> None:
    """A message that was received as often as the queue allows goes to the dead-letter queue with its body."""
    source = await start("fail", "one", visibility=1, times=2)

    await eventually(lambda: source.left(source.dead_letters) == 1)

    assert source.bodies == ["one", "one"]
    (letter,) = source.sqs.receive_message(QueueUrl=source.dead_letters)["Messages"]
    assert letter["Body"] == "one"


async def test_no_more_events_at_once_than_allowed(start: Start) -> None:
    """While as many events as the mapping allows are under way, further messages stay in the queue untouched."""
    source = await start("meet", "one", "two", "three", batch_size=1, concurrency=2)
    await eventually(lambda: len(source.events) == 2)

    waiting = source.sqs.get_queue_attributes(QueueUrl=source.url, AttributeNames=["ApproximateNumberOfMessages"])
    (source.folder / "go").touch()

    assert waiting["Attributes"]["ApproximateNumberOfMessages"] == "1"
    await eventually(lambda: source.left() == 0)


async def test_stopping_leaves_messages_where_they_are(embedded_aws: EmbeddedAws, tmp_path: Path) -> None:
    """A stopped mapping polls no more: what is sent afterwards stays in its queue."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName=f"source-{uuid.uuid4().hex[:12]}")["QueueUrl"]
    service = LambdaService([], embedded_aws.variables, sys.stderr.fileno(), cwd=tmp_path)
    async with EventSources([QueueMapping("None", url, "arn", 1, 1)], service) as sources:
        pass

    assert all(task.done() for task in sources._polling)


async def test_a_queue_that_is_not_there_is_tried_again(embedded_aws: EmbeddedAws, tmp_path: Path) -> None:
    """A mapping whose queue cannot be read goes on when it can."""
    name = f"source-{uuid.uuid4().hex[:12]}"
    (tmp_path / "tiny.py").write_text(HANDLERS)
    function = Function("Tiny", "tiny.succeed", 30, 256, {"FOLDER": str(tmp_path)})
    service = LambdaService([function], embedded_aws.variables, sys.stderr.fileno(), cwd=tmp_path)
    url = f"{embedded_aws.url}/123456789012/{name}"
    async with EventSources([QueueMapping("Tiny", url, "arn", 1, 1)], service):
        await asyncio.sleep(0)
        sqs = boto3.client("sqs")
        sqs.create_queue(QueueName=name)
        sqs.send_message(QueueUrl=url, MessageBody="one")
        await eventually(lambda: bool(list(tmp_path.glob("*.json"))))
    await service.stop()


@pytest.fixture
def listener(embedded_aws: EmbeddedAws) -> BusListener:
    return BusListener(f"listener-{uuid.uuid4().hex[:12]}", "default", "test.source")


async def test_a_listener_keeps_events_of_its_source(listener: BusListener) -> None:
    """A listener has the events of its source in order, however often it is asked, and nobody else's."""
    entries: list[Any] = [
        {"Source": source, "DetailType": f"Event {number}", "Detail": json.dumps({"number": number})}
        for number, source in enumerate(["test.source", "other.source", "test.source"])
    ]
    boto3.client("events").put_events(Entries=entries)

    first, again = listener.events(), listener.events()

    assert [event["detail"] for event in first] == [{"number": 0}, {"number": 2}]
    assert [event["detail-type"] for event in first] == ["Event 0", "Event 2"]
    assert first == again
