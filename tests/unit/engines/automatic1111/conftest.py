"""The automatic1111 engine and the sandbox's AUTOMATIC1111 server that it calls."""

from typing import Any

import pytest

from image_gateway.engines.automatic1111.engine import Automatic1111Engine
from image_gateway.models.config import ImagesConfig
from sandbox.engines.automatic1111 import create_app
from sandbox.engines.state import SandboxState
from tests.unit.engines.automatic1111.requests_and_responses import Connect, MakeEngine, Serve


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
async def make_engine(serve: Serve, connect: Connect, state: SandboxState) -> MakeEngine:
    """Make an engine for the sandbox's server. Keywords are fields of `Connection` and of the configuration."""
    url = serve(create_app(state))

    def make_engine(timeout: float = 10.0, **fields: Any) -> Automatic1111Engine:
        config = ImagesConfig(AUTOMATIC1111_BASE_URL=url, **fields)
        return Automatic1111Engine(config, connect(timeout=timeout, secrets=tuple(config.secrets())))

    return make_engine
