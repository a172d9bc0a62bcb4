"""The configuration while Parameter Store fails."""

from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.config.document import ConfigDocument
from image_gateway.config.store import ConfigStore
from image_gateway.errors import StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
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
        await store.read()
    with pytest.raises(StorageUnavailable):
        await store.update(ImagesConfig(IMAGE_STEPS=1))


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
