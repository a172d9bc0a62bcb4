"""Parameters that OpenAI does not have, for engines that do."""

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

ADDITIONAL = {"seed": 7, "negative_prompt": "rain", "steps": 9}


def received_parameters(state: SandboxState, engine: str) -> dict[str, Any]:
    """Return what the engine received of `ADDITIONAL`, under the same names."""
    if engine == "automatic1111":
        (request,) = [request.json for request in state.record if request.path.endswith(("/txt2img", "/img2img"))]
        return {name: request[name] for name in ADDITIONAL}
    (request,) = [request.json["prompt"] for request in state.record if request.path.endswith("/prompt")]
    sampler = next(node["inputs"] for node in request.values() if node["class_type"] == "KSampler")
    negative = request[sampler["negative"][0]]["inputs"]["text"]
    return {"seed": sampler["seed"], "negative_prompt": negative, "steps": sampler["steps"]}


@pytest.mark.parametrize("engine", ["automatic1111", "comfyui"])
def test_additional_parameters_of_a_generation_reach_the_engine(
    deployment: "Deployment", serve: "Callable[..., str]", engine: str
) -> None:
    """Seed, negative prompt and steps are the request's, without a warning."""
    state = SandboxState()
    url = serve(import_module(f"sandbox.engines.{engine}").create_app(state))
    fields = (
        {"COMFYUI_BASE_URL": url, **CHECKPOINT.fields()} if engine == "comfyui" else {"AUTOMATIC1111_BASE_URL": url}
    )
    deployment.configure(
        ENABLE_IMAGE_GENERATION=True, IMAGE_GENERATION_ENGINE=engine, IMAGE_ENGINE_TIMEOUT=20, **fields
    )

    response = deployment.call(
        "POST", "/v1/images/generations", {"prompt": "a fox", "size": "64x64", **ADDITIONAL}, role="user"
    )

    assert response.status == 200, response.text
    assert received_parameters(state, engine) == ADDITIONAL
    assert WARNINGS_HEADER not in response.headers


def test_additional_parameters_of_an_edit_reach_the_engine(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """Seed, negative prompt and steps are the request's, without a warning."""
    engine = use_edit_engine("automatic1111")
    image = {"image_url": "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"}

    response = deployment.call(
        "POST", "/v1/images/edits", {"prompt": "a fox", "images": [image], "size": "64x64", **ADDITIONAL}, role="user"
    )

    assert response.status == 200, response.text
    assert received_parameters(engine.state, "automatic1111") == ADDITIONAL


CONVERSIONS = textwrap.dedent("""
    import asyncio, base64, sys
    import functions.generate.app
    from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
    from image_gateway.images.decoding import decoder
    from image_gateway.images.output_formats import OutputFormats

    processes = []

    def start():
        processes.append(decoder.Decoder())
        return processes[-1]

    def apply(wanted):
        request = ImageRequest(job_id="job", prompt="a fox", output_format=wanted)
        result = EngineResult([EngineImage(base64.b64decode(sys.argv[1]))])
        return asyncio.run(OutputFormats(start).apply(request, result, lambda: 60.0))

    apply(None), apply("png"), apply("gif")
    assert not processes, "a decoding process is started for what needs no conversion"
    assert apply("webp")[0].data.startswith(b"RIFF")
    assert processes
    assert not any(name.partition(".")[0] in ("PIL", "pi_heif") for name in sys.modules), "Pillow is loaded"
""")


def test_a_decoding_process_is_started_only_for_a_conversion() -> None:
    """Neither the start nor an image in the requested format needs one: it would lengthen every cold start."""
    from tests.integration.sample_images import encoded, text

    command = [sys.executable, "-c", CONVERSIONS, text(encoded())]
    process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert process.returncode == 0, process.stderr
