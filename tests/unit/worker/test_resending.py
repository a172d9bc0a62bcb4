"""Messages that are sent again, because storage was temporarily unavailable."""

from datetime import UTC, datetime
from typing import Any

import pytest

from functions.worker.records import to_message
from image_gateway.worker.messages import Message
from image_gateway.worker.resending import MAX_RESENDS, resend
from tests.integration.sqs_records import record

pytestmark = pytest.mark.anyio

SENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


class Queue:
    """Records what is sent again."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.owners: set[str | None] = set()
        self.records: list[Any] = []

    async def resend(self, body: str, *, owner: str | None, delay_seconds: float, attributes: dict[str, str]) -> None:
        self.delays.append(delay_seconds)
        self.owners.add(owner)
        self.records.append(record(body, f"new-{len(self.records)}", attributes))


async def test_a_resent_message_keeps_its_identity_and_the_delays_grow() -> None:
    """The job of a request has an id that is derived from the first message; delays are 4, 8, 16 and 32 s or more."""
    queue = Queue()
    message = Message("first", "{}", SENT)

    while await resend(queue, message, "token:1"):  # type: ignore[arg-type]  # has the method that is used
        message = to_message(queue.records[-1])
        assert (message.id, message.sent_at, message.redelivered) == ("first", SENT, True)

    assert queue.owners == {"token:1"}
    assert len(queue.delays) == MAX_RESENDS
    for delay, shortest in zip(queue.delays, [4, 8, 16] + [32] * (MAX_RESENDS - 3), strict=True):
        assert shortest <= delay <= shortest * 1.25


@pytest.mark.parametrize("value", ["", "1", "1:2:x", "1:1750000000123:../x", "x:1750000000123:m", "²:1750000000123:m"])
def test_a_malformed_attribute_is_ignored(value: str) -> None:
    """A sender may set an attribute of that name."""
    message = to_message(record({}, "m1", {"Resent": value}))

    assert (message.id, message.redelivered, message.resent) == ("m1", False, 0)
