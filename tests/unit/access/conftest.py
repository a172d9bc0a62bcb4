"""Tokens of a new deployment, in moto's server."""

import pytest

from image_gateway.access.token_registry import TokenRegistry
from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.aws import Aws
from image_gateway.settings import Settings
from tests.unit.access.token_uses import FakeClock


@pytest.fixture
def authenticator(settings: Settings, aws: Aws) -> TokenAuthenticator:
    return TokenAuthenticator(aws, settings)


@pytest.fixture
def registry(settings: Settings, aws: Aws) -> TokenRegistry:
    return TokenRegistry(aws, settings)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def caching_authenticator(settings: Settings, aws: Aws, clock: FakeClock) -> TokenAuthenticator:
    """An authenticator that caches lookups for 60 s, the default of deployments."""
    return TokenAuthenticator(aws, settings.model_copy(update={"token_ttl_seconds": 60}), now=clock)
