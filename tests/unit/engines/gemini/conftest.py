"""The gemini engine and the sandbox's Gemini server that it calls."""

from importlib import import_module
from typing import Any

import pytest

from image_gateway.engines.gemini.engine import GeminiEngine
from image_gateway.models.config import ImagesConfig
from sandbox.engines.gemini import create_app
from sandbox.engines.state import SandboxState
from tests.unit.engines.gemini.requests_and_responses import Connect, MakeEngine, Serve


@pytest.fixture(scope="session")
def types() -> Any:
    """Google's own types. The SDK takes a second to import, so its tests are in one xdist group, `google-genai`."""
    return import_module("google.genai.types")


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
async def make_engine(serve: Serve, connect: Connect, state: SandboxState) -> MakeEngine:
    """Make an engine for the sandbox's server. `method` is the configured endpoint method."""
    url = serve(create_app(state)) + "/v1beta"

    def make_engine(timeout: float = 20.0, key: str = "g-key", method: str = "", *, edit: bool = False) -> GeminiEngine:
        config = ImagesConfig(
            IMAGES_GEMINI_API_BASE_URL=url,
            IMAGES_GEMINI_API_KEY=key,
            IMAGES_EDIT_GEMINI_API_BASE_URL=url,
            IMAGES_EDIT_GEMINI_API_KEY=key,
            IMAGES_GEMINI_ENDPOINT_METHOD=method,
        )
        return GeminiEngine(config, connect(timeout=timeout, secrets=tuple(config.secrets())), edit=edit)

    return make_engine
