"""A listener on the bus records the events of one source."""

import json
import uuid
from typing import Any

import pytest

from sandbox.bus_listener import BusListener
from sandbox.embedded_aws import EmbeddedAws
from tests.aws_clients import aws_client


@pytest.fixture
def listener(embedded_aws: EmbeddedAws) -> BusListener:
    return BusListener(f"listener-{uuid.uuid4().hex[:12]}", "default", "test.source")


def test_a_listener_keeps_the_events_of_its_source(listener: BusListener) -> None:
    """A listener returns its source's events in order at every call, and no events of other sources."""
    entries: list[Any] = [
        {"Source": source, "DetailType": f"Event {number}", "Detail": json.dumps({"number": number})}
        for number, source in enumerate(["test.source", "other.source", "test.source"])
    ]
    aws_client("events").put_events(Entries=entries)

    first, second = listener.events(), listener.events()

    assert [event["detail"] for event in first] == [{"number": 0}, {"number": 2}]
    assert [event["detail-type"] for event in first] == ["Event 0", "Event 2"]
    assert first == second
