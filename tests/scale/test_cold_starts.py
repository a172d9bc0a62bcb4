"""Many processes that start, or that run, at once: a small version of `make scale`, in a time that passes at once."""

import random
from typing import Any

import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.config.reader import ConfigReader
from image_gateway.config.stored import StoredConfig
from image_gateway.settings import Settings
from sandbox.embedded_aws import EmbeddedAws
from sandbox.template import ROOT
from tests.scale.cold_starts import Package, simulate, summary
from tests.scale.shared_time import SharedTime
from tests.scale.throttled_parameter_store import ThrottledParameterStore, TokenBucket

pytestmark = pytest.mark.anyio


async def test_no_request_fails_when_many_processes_start_at_once(
    embedded_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight times as many processes as there are reads in a second: each one reads within its request's time."""
    time = SharedTime()
    proxy = ThrottledParameterStore(embedded_aws.url, TokenBucket(5, 5, time))

    async with proxy.serving() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
        outcomes = await simulate(40, 0.5, Package(ROOT), time)

    assert [outcome.status for outcome in outcomes] == [200] * 40, summary(outcomes)
    assert proxy.served == 40
    assert 40 < proxy.throttled < 40 * 10
    assert max(outcome.seconds for outcome in outcomes) < 14


async def test_warm_processes_do_not_wait_for_a_throttled_parameter_store(settings: Settings) -> None:
    """A quarter more processes than Parameter Store can serve: their configurations get older, and no request waits."""
    now, rng = 0.0, random.Random(0)
    bucket = TokenBucket(8, 8, lambda: now)
    reads: list[bool] = []

    class LimitedAws(Aws):
        async def call(self, service: str, operation: str, **_parameters: Any) -> Any:
            assert (service, operation) == ("ssm", "GetParameter")
            reads.append(bucket.take())
            raise AwsError("ParameterNotFound" if reads[-1] else "ThrottlingException", status=400)

    async def no_sleep(_seconds: float) -> None:
        raise AssertionError("a request waits")

    settings = settings.model_copy(update={"config_ttl_seconds": 30})
    aws = LimitedAws()
    readers = [
        ConfigReader(
            StoredConfig(aws, settings, environ={}), settings, clock=lambda: now, jitter=rng.random, sleep=no_sleep
        )
        for _ in range(300)
    ]
    for reader in readers:
        now += 1 / 8
        await reader.read()
    reads.clear()
    started = now

    while now < started + 120:
        for reader in readers:
            now += 5 / 300
            await reader.read()

    served, elapsed = sum(reads), now - started
    assert served > 0.9 * 8 * elapsed
    assert len(reads) < 3 * served
