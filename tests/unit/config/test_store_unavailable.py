"""The configuration while Parameter Store fails."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.config.document import ConfigDocument
from image_gateway.errors import StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
from tests.silent_server import FACTOR, seconds_until_done, silent_server
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import MakeStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def stop_parameter_store(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Once it is called, no server answers for Parameter Store."""
    return lambda: monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:1")


async def test_a_stale_configuration_is_served(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    make_store: MakeStore,
    stop_parameter_store: Callable[[], None],
) -> None:
    """A configuration that was read earlier stays in use, and the log says so."""
    store = make_store(settings)
    await store.update(ImagesConfig(IMAGE_STEPS=5))
    stop_parameter_store()

    assert (await store.read()).config.IMAGE_STEPS == 5
    assert "stale" in caplog.text


async def test_without_an_earlier_read_a_read_fails(
    settings: Settings, make_store: MakeStore, stop_parameter_store: Callable[[], None]
) -> None:
    """There is no configuration to serve."""
    store = make_store(settings)
    stop_parameter_store()

    with pytest.raises(StorageUnavailable, match="cannot be read"):
        await store.read(lambda: 0.0)
    with pytest.raises(StorageUnavailable):
        await store.update(ImagesConfig(IMAGE_STEPS=1))


async def test_a_silent_parameter_store_delays_a_stale_configuration_by_two_seconds(
    settings: Settings, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request has 30 s. Its next reads do not wait again."""
    now = 0.0
    settings = settings.model_copy(update={"config_ttl_seconds": 30})
    store = make_store(settings, clock=lambda: now, jitter=lambda: 0.5)
    await store.read()
    now = 31.0
    async with silent_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
        monkeypatch.delenv(FACTOR)
        seconds = [await seconds_until_done(store.read()) for _ in range(2)]
        now = 37.0
        seconds.append(await seconds_until_done(store.read()))

    assert 2 <= seconds[0] < 3
    assert seconds[1] < 1
    assert 2 <= seconds[2] < 3


async def test_a_silent_parameter_store_fails_a_first_read_in_time(
    settings: Settings, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets the gateway's own error response, not that of API Gateway."""
    async with silent_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
        monkeypatch.delenv(FACTOR)
        read = asyncio.ensure_future(make_store(settings).read(lambda: 20.0))
        seconds = await seconds_until_done(read)

    with pytest.raises(StorageUnavailable, match="cannot be read") as caught:
        read.result()
    assert caught.value.should_retry
    assert seconds < 21


async def test_an_update_can_be_repeated_after_a_failed_write(
    store: ConfigStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is released after a failure."""

    async def encode_empty(_document: ConfigDocument, _values: Any, _kept: Any) -> str:
        return ""

    monkeypatch.setattr("image_gateway.config.document.ConfigDocument.encode", encode_empty)

    with pytest.raises(StorageUnavailable, match="not stored"):
        await store.update(ImagesConfig(IMAGE_STEPS=1))

    monkeypatch.undo()
    assert (await store.update(ImagesConfig(IMAGE_STEPS=1))).version == 1
