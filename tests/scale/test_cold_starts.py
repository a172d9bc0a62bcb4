"""Many processes that start, or that run, at once: a small version of `make scale`, in a time that passes at once."""

import asyncio
import heapq
import random
import ssl
from collections.abc import Coroutine
from itertools import count
from typing import Any

import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.aws.locks import Locks
from image_gateway.config.store import ConfigStore
from image_gateway.errors import StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.net.transport import Transport
from image_gateway.settings import Settings
from sandbox.embedded_aws import EmbeddedAws
from tests.scale.cold_starts import Outcome, summary
from tests.scale.throttled_parameter_store import ThrottledParameterStore, TokenBucket

pytestmark = pytest.mark.anyio

REQUEST_SECONDS = 22.0
"""How long a request may wait for the configuration at API Gateway."""


class SharedTime:
    """The time of many coroutines, which passes only while all of them sleep. So no server is too slow for a test."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        wakes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), wakes))
        await wakes

    async def run(self, work: list[Coroutine[Any, Any, None]]) -> None:
        """Run coroutines until all are done."""
        tasks = [asyncio.create_task(coroutine) for coroutine in work]
        while running := sum(not task.done() for task in tasks):
            if len(self._sleepers) == running:
                self.now, _, wakes = heapq.heappop(self._sleepers)
                wakes.set_result(None)
            await asyncio.sleep(0.0005)  # a server works
        await asyncio.gather(*tasks)


async def test_no_request_fails_when_many_processes_start_at_once(
    settings: Settings,
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
    embedded_aws: EmbeddedAws,
    tls: ssl.SSLContext,
) -> None:
    """Eight times as many processes as there are reads in a second: each one reads within its request's time."""
    await ConfigStore(aws, settings, Locks(aws, settings)).update(ImagesConfig(IMAGE_STEPS=5))
    time, rng = SharedTime(), random.Random(0)
    proxy = ThrottledParameterStore(embedded_aws.url, TokenBucket(5, 5, time))
    outcomes: list[Outcome] = []

    async def start(moment: float) -> None:
        process = Aws(lambda: Transport(tls, idle_seconds=0))
        locks = Locks(process, settings)
        store = ConfigStore(process, settings, locks, environ={}, clock=time, sleep=time.sleep, jitter=rng.random)
        await time.sleep(moment)
        try:
            steps = (await store.read(lambda: moment + REQUEST_SECONDS - time.now)).config.IMAGE_STEPS
            outcomes.append(Outcome(200 if steps == 5 else 500, time.now - moment))
        except StorageUnavailable as error:
            outcomes.append(Outcome(error.status, time.now - moment))
        await process.aclose()

    async with proxy.serving() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
        await time.run([start(rng.uniform(0, 0.5)) for _ in range(40)])

    assert [outcome.status for outcome in outcomes] == [200] * 40, summary(outcomes)
    assert proxy.served == 40
    assert 40 < proxy.throttled < 40 * 10
    assert max(outcome.seconds for outcome in outcomes) < 12


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
    stores = [
        ConfigStore(
            aws, settings, Locks(aws, settings), environ={}, clock=lambda: now, jitter=rng.random, sleep=no_sleep
        )
        for _ in range(300)
    ]
    for store in stores:
        now += 1 / 8
        await store.read()
    reads.clear()
    started = now

    while now < started + 120:
        for store in stores:
            now += 5 / 300
            await store.read()

    served, elapsed = sum(reads), now - started
    assert served > 0.9 * 8 * elapsed
    assert len(reads) < 3 * served
