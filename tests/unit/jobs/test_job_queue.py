"""The queue of jobs: message groups, and failures of SQS."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.job_queue import JobQueue, message_group
from tests.aws_clients import aws_client

pytestmark = pytest.mark.anyio

Receive = Callable[[], list[Any]]


@pytest.fixture
def queue(gateway: Gateway) -> tuple[JobQueue, Receive]:
    """A queue, and what receives its messages with their attributes."""
    sqs = aws_client("sqs")
    url = sqs.create_queue(QueueName=gateway.settings.table)["QueueUrl"]

    def receive() -> list[Any]:
        return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])[
            "Messages"
        ]

    settings = gateway.settings.model_copy(update={"queue_url": url})
    return JobQueue(gateway.aws, settings), receive


async def test_a_queue_that_fails_raises_storage_unavailable(gateway: Gateway) -> None:
    """The sender learns that the message was not sent."""
    broken = Gateway(gateway.settings.model_copy(update={"queue_url": "http://127.0.0.1:1/q"}), gateway.aws)

    with pytest.raises(StorageUnavailable, match="queued"):
        await broken.queue.send("j", owner="token:1")


async def test_messages_of_jobs_have_their_owner_as_message_group(queue: tuple[JobQueue, Receive]) -> None:
    """A job, several jobs at once, and a message that is sent again."""
    sender, receive = queue

    await sender.send("a", owner="token:1")
    await sender.send_batch([("b", "token:1"), ("c", "event:s3")])
    await sender.resend('{"job": "d"}', owner="token:2")

    groups = {json.loads(message["Body"])["job"]: message["Attributes"]["MessageGroupId"] for message in receive()}
    assert groups == {"a": "token:1", "b": "token:1", "c": "event:s3", "d": "token:2"}


async def test_a_message_that_belongs_to_nobody_has_no_message_group(queue: tuple[JobQueue, Receive]) -> None:
    """SQS treats it as the message of an owner of its own."""
    sender, receive = queue

    await sender.resend("{}", owner=None)

    (message,) = receive()
    assert "MessageGroupId" not in message["Attributes"]


@pytest.mark.parametrize(
    ("owner", "is_valid"),
    [
        ("token:01a20491", True),
        ("event:shop.orders/eu-1", True),
        ("event:" + "x" * 122, True),
        ("event:" + "x" * 123, False),
        ("event:my shop", False),
        ("event:läden", False),
        ("event:shop\n", False),
    ],
)
def test_a_message_group_is_the_owner_or_its_hash(owner: str, is_valid: bool) -> None:
    """SQS accepts up to 128 letters, digits and punctuation characters; the sources of events may be others."""
    group = message_group(owner)

    assert (group == owner) == is_valid
    assert group.isascii()
    assert group.isprintable()
    assert " " not in group
    assert 0 < len(group) <= 128


def test_different_owners_have_different_message_groups() -> None:
    """Also where the owners are hashed."""
    owners = ["event:" + "x" * 200 + end for end in ("a", "b")]

    assert len({message_group(owner) for owner in owners}) == 2
