"""Concurrent updates and reads of the configuration."""

import asyncio
from typing import Any

import pytest

from image_gateway.errors import PreconditionFailed
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import MakeStore, stored_versions

pytestmark = pytest.mark.anyio


async def test_no_update_of_twenty_concurrent_ones_is_lost(settings: Settings, make_store: MakeStore) -> None:
    """Each update is in the parameter's history exactly once, with a version of its own."""
    steps = range(1, 21)

    results = await asyncio.gather(*(make_store(settings).update(ImagesConfig(IMAGE_STEPS=step)) for step in steps))

    assert sorted(item["IMAGE_STEPS"] for item in stored_versions(settings)) == list(steps)
    assert sorted(result.version for result in results) == list(range(1, 21))


async def test_of_twenty_updates_with_the_same_version_one_succeeds(settings: Settings, make_store: MakeStore) -> None:
    """With `If-Match`, an update never overwrites a version that its caller has not read."""
    results = await asyncio.gather(
        *(
            make_store(settings).update(ImagesConfig(IMAGE_STEPS=step), if_match=frozenset({0}))
            for step in range(1, 21)
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(result, PreconditionFailed) for result in results) == 19
    assert len(stored_versions(settings)) == 1


async def test_a_read_during_updates_returns_one_whole_configuration(settings: Settings, make_store: MakeStore) -> None:
    """A key is never read together with the URL of another update."""
    writer = make_store(settings)

    async def write() -> None:
        for number in range(10):
            await writer.update(
                ImagesConfig(
                    IMAGES_OPENAI_API_BASE_URL=f"https://h{number}.example", IMAGES_OPENAI_API_KEY=f"k{number}"
                )
            )

    async def read() -> tuple[str, str]:
        config = (await make_store(settings).read()).config
        return config.IMAGES_OPENAI_API_BASE_URL, config.IMAGES_OPENAI_API_KEY

    _, *reads = await asyncio.gather(write(), *(read() for _ in range(100)))

    written = {("https://api.openai.com/v1", "")} | {(f"https://h{n}.example", f"k{n}") for n in range(10)}
    assert set(reads) <= written


async def test_a_write_without_the_lock_is_logged(
    store: ConfigStore, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parameter's version shows that somebody wrote it by hand in between."""
    load = store.stored.load_or_defaults

    async def load_and_interfere() -> Any:
        loaded = await load()
        aws_client("ssm").put_parameter(Name=settings.config_parameter, Value="{}", Type="SecureString", Overwrite=True)
        return loaded

    monkeypatch.setattr(store.stored, "load_or_defaults", load_and_interfere)

    assert (await store.update(ImagesConfig(IMAGE_STEPS=1))).version == 2
    assert "outside" in caplog.text
