"""A deployment with two engines."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from sandbox.engines.state import SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.fixture
def gemini() -> SandboxState:
    """The knobs and the record of the sandbox's gemini engine."""
    return SandboxState()


@pytest.fixture
def two_engines(openai_deployment: "Deployment", gemini: SandboxState, serve: Callable[..., str]) -> "Deployment":
    """A deployment that generates with openai and has gemini configured as well."""
    url = serve(import_module("sandbox.engines.gemini").create_app(gemini))
    openai_deployment.configure(IMAGES_GEMINI_API_BASE_URL=f"{url}/v1beta", IMAGES_GEMINI_API_KEY="planted-engine-key")
    return openai_deployment
