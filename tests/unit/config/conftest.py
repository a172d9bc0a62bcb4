"""Configuration stores of a deployment, against moto's server."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.settings import Settings
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import MakeStore


@pytest.fixture
def make_store(aws: Aws) -> MakeStore:
    """Create a store as in a new process, which has read nothing yet."""

    def make_store(
        settings: Settings,
        environ: dict[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        aws: Aws = aws,
        **options: Any,
    ) -> ConfigStore:
        return ConfigStore(aws, settings, environ or {}, clock=clock, **options)

    return make_store


@pytest.fixture
def store(settings: Settings, make_store: MakeStore) -> ConfigStore:
    return make_store(settings)
