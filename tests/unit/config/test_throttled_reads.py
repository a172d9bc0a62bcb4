"""Reads of the configuration that Parameter Store throttles, as it does where many processes start at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.errors import StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import MakeStore

pytestmark = pytest.mark.anyio


class ThrottledAws(Aws):
    """AWS that refuses the next `refusals` reads of the parameter, and counts them all."""

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.refusals = 0
        self.reads = 0
        self.code = "ThrottlingException"

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "GetParameter":
            assert parameters["retry_throttling"] is False
            self.reads += 1
            if self.refusals:
                self.refusals -= 1
                raise AwsError(self.code, status=400)
        return await self._aws.call(service, operation, **parameters)


class Time:
    """Time that passes when a store sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def left_of(self, seconds: float) -> Callable[[], float]:
        """Return the seconds that are left of a request that has this many seconds in all."""
        return lambda: seconds - self.now


@pytest.fixture
def throttled(aws: Aws) -> ThrottledAws:
    return ThrottledAws(aws)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def new_store(settings: Settings, make_store: MakeStore, throttled: ThrottledAws, time: Time) -> ConfigStore:
    """The store of a process that has read nothing yet. Its configuration lives for 30 s, and random numbers are 1."""
    settings = settings.model_copy(update={"config_ttl_seconds": 30})
    return make_store(settings, clock=time, aws=throttled, sleep=time.sleep, jitter=lambda: 1.0)


async def test_a_throttled_first_read_is_tried_again_while_the_request_has_time(
    new_store: ConfigStore, throttled: ThrottledAws, time: Time
) -> None:
    """Pauses grow up to three seconds."""
    throttled.refusals = 8

    current = await new_store.read(time.left_of(22))

    assert current.version == 0
    assert time.pauses == [0.25, 0.5, 1, 2, 3, 3, 3, 3]


async def test_a_first_read_ends_before_the_time_of_the_request(
    new_store: ConfigStore, throttled: ThrottledAws, time: Time
) -> None:
    """The caller gets an error that clients may retry."""
    throttled.refusals = 100

    with pytest.raises(StorageUnavailable, match="cannot be read: ThrottlingException") as caught:
        await new_store.read(time.left_of(10))

    assert caught.value.should_retry
    assert 7 <= time.now < 10


async def test_pauses_of_a_first_read_are_random(
    settings: Settings, make_store: MakeStore, throttled: ThrottledAws, time: Time
) -> None:
    """Processes that started together must not be throttled together again."""
    throttled.refusals = 4
    numbers = iter([0.1, 0.9, 0.0, 0.5, 0.0])
    store = make_store(settings, clock=time, aws=throttled, sleep=time.sleep, jitter=lambda: next(numbers))

    await store.read(time.left_of(22))

    assert time.pauses == pytest.approx([0.025, 0.45, 0, 1])


async def test_a_permanent_failure_of_a_first_read_is_not_waited_out(
    new_store: ConfigStore, throttled: ThrottledAws, time: Time
) -> None:
    """Only the operator can mend a missing permission."""
    throttled.refusals, throttled.code = 1, "AccessDeniedException"

    with pytest.raises(StorageUnavailable, match="AccessDeniedException"):
        await new_store.read(time.left_of(22))

    assert time.pauses == []


async def test_the_jobs_of_a_worker_share_a_first_read(
    new_store: ConfigStore, throttled: ThrottledAws, time: Time
) -> None:
    """Ten jobs of a new worker start at once: the parameter is read once, and a refusal is waited out once."""
    throttled.refusals = 1

    configs = await asyncio.gather(*(new_store.read(time.left_of(60)) for _ in range(10)))

    assert throttled.reads == 2
    assert all(config is configs[0] for config in configs)


async def test_a_throttled_refresh_is_sent_once_and_delays_nothing(
    new_store: ConfigStore, throttled: ThrottledAws, time: Time
) -> None:
    """The earlier configuration is used, and it is read again after some seconds, not by every request."""
    cached = await new_store.read()
    throttled.refusals, throttled.reads = 1, 0
    time.now += 31

    for _ in range(3):
        assert await new_store.read() is cached
    assert (throttled.reads, time.pauses) == (1, [])

    time.now += 8
    assert await new_store.read() is not cached
    assert throttled.reads == 2


async def test_the_jobs_of_a_worker_share_a_refresh(
    new_store: ConfigStore, throttled: ThrottledAws, time: Time, make_store: MakeStore, settings: Settings
) -> None:
    """All of them get the configuration that one of them reads."""
    await new_store.read()
    await make_store(settings).update(ImagesConfig(IMAGE_STEPS=5))
    throttled.reads = 0
    time.now += 31

    configs = await asyncio.gather(*(new_store.read() for _ in range(10)))

    assert throttled.reads == 1
    assert {config.config.IMAGE_STEPS for config in configs} == {5}


@pytest.mark.parametrize(("random_number", "seconds"), [(0.0, 30.0), (0.5, 27.0), (1.0, 24.0)])
async def test_the_lifetime_of_a_configuration_is_random(
    settings: Settings, make_store: MakeStore, throttled: ThrottledAws, time: Time, random_number: float, seconds: float
) -> None:
    """It is up to a fifth shorter than the parameter says, so processes that started together do not read together."""
    settings = settings.model_copy(update={"config_ttl_seconds": 30})
    store = make_store(settings, clock=time, aws=throttled, jitter=lambda: random_number)
    await store.read()

    time.now = seconds - 0.1
    await store.read()
    assert throttled.reads == 1

    time.now = seconds
    await store.read()
    assert throttled.reads == 2


async def test_the_time_after_a_failed_refresh_is_random(
    settings: Settings, make_store: MakeStore, throttled: ThrottledAws, time: Time
) -> None:
    """It is 2.5 to 7.5 seconds, so that the next tries do not collide either."""
    numbers = iter([0.0, 0.0, 1.0, 0.0])
    settings = settings.model_copy(update={"config_ttl_seconds": 30})
    store = make_store(settings, clock=time, aws=throttled, jitter=lambda: next(numbers))
    await store.read()
    throttled.refusals = 2
    reads = []

    for now in (30, 32.4, 32.5, 39.9, 40):
        time.now = now
        await store.read()
        reads.append(throttled.reads)

    assert reads == [2, 2, 3, 3, 4]
