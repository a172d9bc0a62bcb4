"""A deployment with two engines."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.engines.state import SandboxState
from tests.integration.sample_images import text

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


@pytest.fixture
def use_image(deployment: "Deployment", serve: Callable[..., str]) -> Callable[[bytes], None]:
    """Generate and edit with an OpenAI-compatible server that always returns the same image."""

    def start(image: bytes) -> None:
        async def images(_request: Request) -> Response:
            return JSONResponse({"data": [{"b64_json": text(image)}]})

        routes = [Route(f"/v1/images/{name}", images, methods=["POST"]) for name in ("generations", "edits")]
        deployment.configure(
            ENABLE_IMAGE_GENERATION=True,
            ENABLE_IMAGE_EDIT=True,
            IMAGES_OPENAI_API_BASE_URL=f"{serve(Starlette(routes=routes))}/v1",
            IMAGES_OPENAI_API_KEY="k",
            IMAGES_EDIT_OPENAI_API_BASE_URL="",
            IMAGE_ENGINE_TIMEOUT=20,
        )

    return start
