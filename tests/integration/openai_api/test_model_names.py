"""Models named with their engine (`gemini/…`): where requests run."""

from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from openai.types import ImagesResponse

from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

PATH = "/v1/images/generations"


def generate(deployment: "Deployment", model: str | None, path: str = PATH, role: str = "user") -> "ApiResponse":
    """Generate with a model."""
    return deployment.call("POST", path, {"prompt": "a fox", "model": model}, role=role)


def limited_role(deployment: "Deployment", **limits: Any) -> str:
    """Create a token with limits; return its role."""
    deployment.tokens["limited"] = deployment.token("a limited one", **limits)
    return "limited"


def test_a_model_with_an_engine_prefix_runs_on_that_engine(
    two_engines: "Deployment", gemini: SandboxState, openai: SandboxState
) -> None:
    """The engine receives the name without the prefix, and the job records engine and model."""
    response = generate(two_engines, "gemini/gemini-sandbox-image")

    assert response.status == 200, response.text
    assert gemini.record[-1].path.endswith("/models/gemini-sandbox-image:generateContent")
    assert not openai.record
    job = two_engines.jobs()[0]
    assert (job.engine, job.model, job.pinned) == ("gemini", "gemini-sandbox-image", True)


def test_usage_of_another_engine_is_complete(two_engines: "Deployment") -> None:
    """Gemini does not break its counts down; the input of a generation is text."""
    response = generate(two_engines, "gemini/gemini-sandbox-image")

    usage = ImagesResponse.model_validate_json(response.text, strict=True).usage
    assert usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 1290, 1297)
    assert (usage.input_tokens_details.text_tokens, usage.input_tokens_details.image_tokens) == (7, 0)


def test_a_model_without_a_prefix_runs_on_the_configured_engine(
    two_engines: "Deployment", openai: SandboxState
) -> None:
    """Even if only the other engine has this model."""
    generate(two_engines, "gpt-image-2.6-sunburst")
    rejected = generate(two_engines, "gemini-sandbox-image")

    assert [request.json["model"] for request in openai.record] == [
        "gpt-image-2.6-sunburst",
        "gemini-sandbox-image",
    ]
    assert rejected.json["error"]["param"] == "model"


def test_an_unknown_gemini_model_names_the_parameter(two_engines: "Deployment") -> None:
    """Gemini's 404 means the model, as the path names nothing else."""
    rejected = generate(two_engines, "gemini/gemini-9-image")

    assert (rejected.status, rejected.json["error"]["param"]) == (400, "model")
    assert "gemini-9-image is not found" in rejected.json["error"]["message"]


@pytest.mark.parametrize(("sampler", "param"), [("euler", "model"), ("none", None)])
def test_an_unknown_comfyui_model_names_the_parameter(
    deployment: "Deployment", serve: Callable[..., str], sampler: str, param: str | None
) -> None:
    """Only if the model's node alone is rejected; other errors in the workflow are the operator's."""
    workflow = deepcopy(CHECKPOINT.workflow)
    workflow["3"]["inputs"]["sampler_name"] = sampler
    url = serve(import_module("sandbox.engines.comfyui").create_app(SandboxState()))
    deployment.configure(
        ENABLE_IMAGE_GENERATION=True,
        IMAGE_GENERATION_ENGINE="comfyui",
        IMAGE_ENGINE_TIMEOUT=5,
        COMFYUI_BASE_URL=url,
        **Sample(workflow, CHECKPOINT.nodes).fields(),
    )

    rejected = generate(deployment, "none.safetensors")

    assert (rejected.status, rejected.json["error"]["param"]) == (400, param)
    assert "none.safetensors" in rejected.json["error"]["message"]


@pytest.mark.parametrize("model", ["black-forest-labs/flux-1.1-pro", "comfyui/flux-dev"])
def test_a_prefix_that_is_no_configured_engine_is_part_of_the_name(
    two_engines: "Deployment", openai: SandboxState, model: str
) -> None:
    """ComfyUI is an engine, but has no server here."""
    generate(two_engines, model)

    assert openai.record[-1].json["model"] == model


def test_an_engine_without_a_model_does_not_use_another_engines(
    two_engines: "Deployment", gemini: SandboxState
) -> None:
    """The configured model is openai's; gemini has none, so that the error is `not_configured`."""
    response = generate(two_engines, "gemini/")

    assert (response.status, response.json["error"]["code"]) == (409, "not_configured")
    assert not gemini.record


def test_the_images_api_does_not_split_model_names(two_engines: "Deployment", openai: SandboxState) -> None:
    """Its names come from the engine's own list, in which a LiteLLM server's have slashes."""
    generate(two_engines, "gemini/gemini-sandbox-image", "/api/v1/images/generations")

    assert openai.record[-1].json["model"] == "gemini/gemini-sandbox-image"


def test_a_queued_job_keeps_the_engine_of_its_request(
    queue_deployment: "Deployment", gemini: SandboxState, serve: Callable[..., str]
) -> None:
    """A change of the configured engine does not move it."""
    url = serve(import_module("sandbox.engines.gemini").create_app(gemini))
    queue_deployment.configure(IMAGES_GEMINI_API_BASE_URL=f"{url}/v1beta", IMAGES_GEMINI_API_KEY="planted-engine-key")
    generate(queue_deployment, "openai/gpt-image-2")
    generate(queue_deployment, "gpt-image-2")

    queue_deployment.configure(IMAGE_GENERATION_ENGINE="gemini", IMAGE_GENERATION_MODEL="gemini-sandbox-image")
    queue_deployment.process_queue()

    by_name, configured = reversed(queue_deployment.jobs())
    assert (by_name.engine, by_name.model, by_name.status) == ("openai", "gpt-image-2", "succeeded")
    assert configured.engine == "gemini"


def test_a_limited_tokens_resolved_engine_and_model_are_checked(two_engines: "Deployment") -> None:
    """The spelling of the model does not matter."""
    role = limited_role(two_engines, engines=["gemini"], models=["gemini-sandbox-image"])

    statuses = {
        model: generate(two_engines, model, role=role).status
        for model in ("gemini/gemini-sandbox-image", "gemini/gemini-sandbox-flash-image", "gpt-image-2", None)
    }

    assert list(statuses.values()) == [200, 403, 403, 403]


def test_a_limited_tokens_queued_job_keeps_its_model(queue_deployment: "Deployment", openai: SandboxState) -> None:
    """A later change of the default model does not affect it."""
    generate(
        queue_deployment,
        None,
        "/api/v1/images/generations",
        role=limited_role(queue_deployment, models=["gpt-image-2"]),
    )

    queue_deployment.configure(IMAGE_GENERATION_MODEL="gpt-image-2.6-sunburst")
    queue_deployment.process_queue()

    assert openai.record[-1].json["model"] == "gpt-image-2"
