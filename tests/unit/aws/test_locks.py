"""Locks in the table, against moto's server."""

import asyncio
from collections.abc import Callable

import pytest

from image_gateway.aws import Aws
from image_gateway.aws.locks import LEASE_SECONDS, MAX_WAIT_SECONDS, Locks
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.silent_server import FACTOR

pytestmark = pytest.mark.anyio


class FakeClock:
    """A clock that only `sleep` advances."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


CreateLocks = Callable[[Settings, FakeClock], Locks]


@pytest.fixture
def create_locks(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> CreateLocks:
    """Create locks that use a fake clock, and wait as long as on AWS."""
    monkeypatch.delenv(FACTOR)
    return lambda settings, clock: Locks(aws, settings, now=clock.now, sleep=clock.sleep)


async def test_a_lock_has_one_holder(settings: Settings, create_locks: CreateLocks) -> None:
    """A second caller waits for the lock, and is refused after the maximum wait."""
    clock = FakeClock()
    async with create_locks(settings, clock).hold("config"):
        with pytest.raises(Busy, match="config"):
            async with create_locks(settings, clock).hold("config"):
                pytest.fail("two callers held the lock")

    assert clock.seconds >= 1_800_000_000 + MAX_WAIT_SECONDS


async def test_a_lock_is_released_after_an_error(settings: Settings, create_locks: CreateLocks) -> None:
    """An error in the block releases the lock."""
    clock = FakeClock()
    with pytest.raises(RuntimeError):
        async with create_locks(settings, clock).hold("config"):
            raise RuntimeError

    async with create_locks(settings, clock).hold("config"):
        pass


async def test_an_expired_lock_is_acquired_and_not_released_by_its_old_holder(
    settings: Settings, caplog: pytest.LogCaptureFixture, create_locks: CreateLocks
) -> None:
    """After the lease, another caller gets the lock, and the old holder does not release it."""
    clock = FakeClock()
    async with create_locks(settings, clock).hold("config"):
        clock.seconds += LEASE_SECONDS + 1
        successor = create_locks(settings, clock).hold("config")
        await successor.__aenter__()

    assert "outlived" in caplog.text
    with pytest.raises(Busy):
        async with create_locks(settings, clock).hold("config"):
            pytest.fail("the successor's lock was released")
    await successor.__aexit__(None, None, None)


async def test_locks_with_different_names_are_independent(settings: Settings, create_locks: CreateLocks) -> None:
    """Locks with different names can be held at the same time."""
    clock = FakeClock()
    async with create_locks(settings, clock).hold("config"), create_locks(settings, clock).hold("other"):
        pass


async def test_a_failing_table_is_an_error(settings: Settings, aws: Aws) -> None:
    """If the table fails, the block does not run."""
    locks = Locks(aws, settings.model_copy(update={"table": "no-such-table"}))

    with pytest.raises(StorageUnavailable, match="lock"):
        async with locks.hold("config"):
            pytest.fail("the block ran without the lock")


async def test_a_failed_release_is_logged(settings: Settings, caplog: pytest.LogCaptureFixture, aws: Aws) -> None:
    """If a lock cannot be released, the block has succeeded all the same, and the lock expires."""
    async with Locks(aws, settings).hold("config"):
        aws_client("dynamodb").delete_table(TableName=settings.table)

    assert "expires by itself" in caplog.text


async def test_the_maximum_wait_can_be_set(settings: Settings, create_locks: CreateLocks) -> None:
    """A caller is refused after its own maximum wait."""
    clock = FakeClock()
    async with create_locks(settings, clock).hold("config"):
        started_at = clock.seconds
        with pytest.raises(Busy):
            async with create_locks(settings, clock).hold("config", max_wait_seconds=3):
                pytest.fail("two callers held the lock")

    assert 3 <= clock.seconds - started_at < 4
