"""Retries of what must be stored."""

import asyncio

import pytest

from image_gateway.aws import AwsError, persist
from image_gateway.errors import StorageUnavailable
from tests.unit.jobs.submission_fakes import FakeTime

pytestmark = pytest.mark.anyio


class FailingStore:
    """Fails with each of `errors`, one after the other, and then stores."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "stored"


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def transient() -> AwsError:
    return AwsError("InternalError", status=500)


async def test_pauses_grow_up_to_ten_seconds(time: FakeTime) -> None:
    """A short outage costs little time, and a long one few requests."""
    store = FailingStore(*(transient() for _ in range(12)))

    assert await persist(store, lambda: 900 - time(), sleep=time.sleep) == "stored"

    assert time.sleeps[0] <= 0.25
    assert 5 <= min(time.sleeps[6:]) <= max(time.sleeps) <= 10


async def test_a_pause_is_not_longer_than_the_time_left(time: FakeTime) -> None:
    """The last failure is raised early enough to end."""
    store = FailingStore(*(transient() for _ in range(1_000)))

    with pytest.raises(AwsError, match="InternalError"):
        await persist(store, lambda: 30 - time(), sleep=time.sleep)

    assert 15 < time() < 30


async def test_without_time_there_is_one_attempt(time: FakeTime) -> None:
    """The image or record may be stored at once, even if the invocation is late."""
    store = FailingStore()

    assert await persist(store, lambda: -5.0, sleep=time.sleep) == "stored"
    assert store.calls == 1


async def test_a_permanent_failure_is_tried_four_times(time: FakeTime) -> None:
    """A denied access does not keep the function running for minutes."""
    error = StorageUnavailable("The image was not stored")
    error.__cause__ = AwsError("AccessDenied", status=403)
    store = FailingStore(*[error] * 10)

    with pytest.raises(StorageUnavailable):
        await persist(store, lambda: 900 - time(), sleep=time.sleep)

    assert store.calls == 4


async def test_a_call_without_a_response_ends_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot keep the function from ending."""
    monkeypatch.setattr("image_gateway.aws.persistence.MIN_ATTEMPT_SECONDS", 0.0)

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(AwsError, match="Timeout"):
        await persist(never, lambda: 0.0)
