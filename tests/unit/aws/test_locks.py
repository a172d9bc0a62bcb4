"""Locks in the table, against moto's server."""

import asyncio
from collections.abc import Callable

import boto3
import pytest

from image_gateway.aws import Aws
from image_gateway.aws.locks import LEASE_SECONDS, MAX_WAIT_SECONDS, Locks
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio


class Time:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


Make = Callable[[Settings, Time], Locks]


@pytest.fixture
def make(aws: Aws) -> Make:
    """Locks in a time of their own."""
    return lambda settings, time: Locks(aws, settings, now=time.now, sleep=time.sleep)


async def test_only_one_holds_a_lock(settings: Settings, make: Make) -> None:
    """A second holder waits for its turn and then gives up, unharmed."""
    time = Time()
    async with make(settings, time).hold("config"):
        with pytest.raises(Busy, match="config"):
            async with make(settings, time).hold("config"):
                pytest.fail("two held the lock")

    assert time.seconds >= 1_800_000_000 + MAX_WAIT_SECONDS


async def test_a_lock_is_free_again_after_a_failure(settings: Settings, make: Make) -> None:
    """An error under the lock lets go of it."""
    time = Time()
    with pytest.raises(RuntimeError):
        async with make(settings, time).hold("config"):
            raise RuntimeError

    async with make(settings, time).hold("config"):
        pass


async def test_a_dead_holder_is_succeeded_and_harms_nobody_when_it_wakes(
    settings: Settings, caplog: pytest.LogCaptureFixture, make: Make
) -> None:
    """After the lease another takes over; the late one does not release what is no longer its own."""
    time = Time()
    async with make(settings, time).hold("config"):
        time.seconds += LEASE_SECONDS + 1
        successor = make(settings, time).hold("config")
        await successor.__aenter__()

    assert "outlived" in caplog.text
    with pytest.raises(Busy):
        async with make(settings, time).hold("config"):
            pytest.fail("the successor's lock was released")
    await successor.__aexit__(None, None, None)


async def test_locks_of_other_names_are_apart(settings: Settings, make: Make) -> None:
    """A lock is held by its name."""
    time = Time()
    async with make(settings, time).hold("config"), make(settings, time).hold("other"):
        pass


async def test_a_table_that_fails_is_told(settings: Settings, aws: Aws) -> None:
    """Nothing is done without the lock."""
    locks = Locks(aws, settings.model_copy(update={"table": "no-such-table"}))

    with pytest.raises(StorageUnavailable, match="lock"):
        async with locks.hold("config"):
            pytest.fail("held without a table")


async def test_a_lock_that_cannot_be_released_is_left_to_expire(
    settings: Settings, caplog: pytest.LogCaptureFixture, aws: Aws
) -> None:
    """What was done under it stands."""
    async with Locks(aws, settings).hold("config"):
        boto3.client("dynamodb").delete_table(TableName=settings.table)

    assert "expires by itself" in caplog.text


async def test_as_many_hold_a_lock_as_it_has_places(settings: Settings, make: Make) -> None:
    """Two of two get in, the third is turned away, and a place that is left is free again."""
    time = Time()
    async with make(settings, time).hold("engine", slots=2):
        async with make(settings, time).hold("engine", slots=2):
            with pytest.raises(Busy):
                async with make(settings, time).hold("engine", slots=2):
                    pytest.fail("three held two places")
        async with make(settings, time).hold("engine", slots=2):
            pass


async def test_a_lease_and_max_wait_are_as_long_as_asked(settings: Settings, make: Make) -> None:
    """Who waits gives up after its own patience; a dead holder's place is free after its own lease."""
    time = Time()
    dead = make(settings, time).hold("engine", lease_seconds=100)
    await dead.__aenter__()
    begun = time.seconds
    with pytest.raises(Busy):
        async with make(settings, time).hold("engine", max_wait_seconds=3):
            pytest.fail("two held the lock")
    assert 3 <= time.seconds - begun < 4

    time.seconds = begun + 101
    async with make(settings, time).hold("engine"):
        pass
    await dead.__aexit__(None, None, None)
