"""The OpenAI channel over engines that have more words than OpenAI."""

import subprocess
import sys
import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.api import WARNINGS_HEADER
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deployment import Deployment
    from tests.integration.sandbox_engine import SandboxEngine


MORE = {"seed": 7, "negative_prompt": "rain", "steps": 9}


def sent(state: SandboxState, engine: str) -> dict[str, Any]:
    """What the engine was asked for of `MORE`, under the names that it has there."""
    if engine == "automatic1111":
        (requested,) = [one.json for one in state.record if one.path.endswith(("/txt2img", "/img2img"))]
        return {name: requested[name] for name in MORE}
    (requested,) = [one.json["prompt"] for one in state.record if one.path.endswith("/prompt")]
    sampler = next(node["inputs"] for node in requested.values() if node["class_type"] == "KSampler")
    negative = requested[sampler["negative"][0]]["inputs"]["text"]
    return {"seed": sampler["seed"], "negative_prompt": negative, "steps": sampler["steps"]}


@pytest.mark.parametrize("engine", ["automatic1111", "comfyui"])
def test_more_than_openai_has_reaches_a_generation(
    deployment: "Deployment", serve: "Callable[..., str]", engine: str
) -> None:
    """Seed, negative prompt and steps are the caller's, and no warning is left of them."""
    state = SandboxState()
    url = serve(import_module(f"sandbox.engines.{engine}").create_app(state))
    fields = (
        {"COMFYUI_BASE_URL": url, **CHECKPOINT.fields()} if engine == "comfyui" else {"AUTOMATIC1111_BASE_URL": url}
    )
    deployment.configure(
        ENABLE_IMAGE_GENERATION=True, IMAGE_GENERATION_ENGINE=engine, IMAGE_ENGINE_TIMEOUT=20, **fields
    )

    response = deployment.call(
        "POST", "/v1/images/generations", {"prompt": "a fox", "size": "64x64", **MORE}, role="user"
    )

    assert response.status == 200, response.text
    assert sent(state, engine) == MORE
    assert WARNINGS_HEADER not in response.headers


def test_more_than_openai_has_reaches_an_edit(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """The same of an edit."""
    engine = use_edit_engine("automatic1111")
    image = {"image_url": "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"}

    response = deployment.call(
        "POST", "/v1/images/edits", {"prompt": "a fox", "images": [image], "size": "64x64", **MORE}, role="user"
    )

    assert response.status == 200, response.text
    assert sent(engine.state, "automatic1111") == MORE


CONVERSIONS = textwrap.dedent("""
    import asyncio, base64, sys
    import functions.generate.app
    from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
    from image_gateway.images.output_formats import OutputFormats

    def loaded():
        return any(name.partition(".")[0] in ("PIL", "pi_heif") for name in sys.modules)

    def apply(wanted):
        request = ImageRequest(job_id="job", prompt="a fox", output_format=wanted)
        result = EngineResult([EngineImage(base64.b64decode(sys.argv[1]))])
        return asyncio.run(OutputFormats().apply(request, result))

    apply(None), apply("png"), apply("gif")
    assert not loaded(), "Pillow is loaded for what needs no conversion"
    assert apply("webp")[0].data.startswith(b"RIFF")
    assert loaded()
""")


def test_pillow_is_loaded_only_for_a_conversion() -> None:
    """Neither at a start nor for an image that is what was asked for: it would make every cold start longer."""
    from tests.integration.sample_images import encoded, text

    command = [sys.executable, "-c", CONVERSIONS, text(encoded())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert done.returncode == 0, done.stderr
