"""Deadlines of calls to AWS: a service accepts connections and stays silent."""

import asyncio

import pytest

from image_gateway.aws import Aws, AwsError, time_limit
from image_gateway.aws.client import create_transport
from image_gateway.aws.deadlines import DEADLINES
from image_gateway.aws.locks import Locks
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings
from tests.loop_time import controlled_time
from tests.silent_server import FACTOR, seconds_until_done, silent_server

pytestmark = pytest.mark.anyio

TOLERANCE_SECONDS = 1.0


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DEFAULT_REGION": "eu-central-1", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv(FACTOR, raising=False)


@pytest.mark.parametrize("service", sorted(DEADLINES))
async def test_a_call_to_a_silent_service_ends_by_its_deadline(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """The deadline is for all attempts together. It leaves time for an error response within 30 s."""
    aws = Aws(create_transport)
    async with silent_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        call = asyncio.ensure_future(aws.send(service, "POST", f"{url}/", headers={}))
        seconds = await seconds_until_done(call)
        await aws.aclose()

    with pytest.raises(AwsError) as caught:
        call.result()
    assert caught.value.transient
    assert seconds <= DEADLINES[service].total + TOLERANCE_SECONDS
    assert DEADLINES[service].total <= 20


@pytest.mark.parametrize("service", sorted(set(DEADLINES) - {"events"}))
def test_a_silent_attempt_leaves_time_for_another_one(service: str) -> None:
    """Often only one connection or one server of the service is silent. An event is published later instead."""
    assert DEADLINES[service].silence < DEADLINES[service].total / 2


def test_an_upload_has_more_time() -> None:
    """A large image must not be lost on a slow line."""
    assert DEADLINES["s3"].seconds(0) == DEADLINES["s3"].total
    assert DEADLINES["s3"].seconds(50 * 2**20) == DEADLINES["s3"].total + 50


async def test_a_call_is_not_retried_if_the_pause_would_end_after_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error is the service's own."""
    attempts: list[float] = []
    monkeypatch.setattr("image_gateway.aws.client.random.random", lambda: 1.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with controlled_time(asyncio.get_running_loop()) as time:

        async def sleep(seconds: float) -> None:
            time.advance(seconds)

        async def throttle(*_arguments: object) -> bytes:
            attempts.append(time.now())
            raise AwsError("ThrottlingException", status=400)

        aws = Aws(sleep=sleep)
        monkeypatch.setattr(aws, "_attempt", throttle)
        with pytest.raises(AwsError, match="ThrottlingException"):
            await aws.call("events", "PutEvents")

    assert len(attempts) == 2


async def test_a_lock_that_cannot_be_released_delays_its_holder_briefly(
    aws: Aws, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work under the lock is done, and the lock expires by itself."""
    locks = Locks(aws, settings)
    async with silent_server() as url, locks.hold("x"):
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        seconds = await seconds_until_done(locks._release("x", "a holder"))

    assert seconds <= 2 + TOLERANCE_SECONDS


async def test_a_block_that_takes_too_long_is_a_temporary_failure() -> None:
    """The error says what was not done."""
    with controlled_time(asyncio.get_running_loop()) as time:
        asyncio.get_running_loop().call_soon(time.advance, 3)
        with pytest.raises(StorageUnavailable, match=r"^It was not read: no response within 2 s$") as caught:
            async with time_limit(2, "It was not read"):
                await asyncio.Event().wait()

    assert caught.value.should_retry
