"""Slots of a new deployment, in moto's server."""

import pytest

from image_gateway.aws import Aws
from image_gateway.settings import Settings
from image_gateway.slots.store import SlotStore
from tests.counting_aws import CountingAws
from tests.unit.slots.processes import Process, Start
from tests.unit.slots.slot_clock import SlotClock


@pytest.fixture
def clock() -> SlotClock:
    return SlotClock()


@pytest.fixture
def counting_aws(aws: Aws) -> CountingAws:
    """A client that counts its calls."""
    return CountingAws(aws)


@pytest.fixture
def store(counting_aws: CountingAws, settings: Settings, clock: SlotClock) -> SlotStore:
    """The slots in the table, as one process reaches them."""
    return SlotStore(counting_aws, settings, now=clock.now)


@pytest.fixture
def process(aws: Aws, settings: Settings, clock: SlotClock) -> Start:
    """Create processes that share the slots of one server."""
    return lambda limit=1: Process(aws, settings, clock, limit)
