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
    return deployment.call("POST", path, {"prompt": "a fox", "model": model}, role=role)


def limited(deployment: "Deployment", **limits: Any) -> str:
    """The role of a new token with limits."""
    deployment.tokens["limited"] = deployment.token("a limited one", **limits)
    return "limited"


def test_a_model_with_its_engine_runs_there(two: "Deployment", gemini: SandboxState, openai: SandboxState) -> None:
    """The engine gets the model's own name, and what is stored says who made it."""
    response = generate(two, "gemini/gemini-sandbox-image")

    assert response.status == 200, response.text
    assert gemini.record[-1].path.endswith("/models/gemini-sandbox-image:generateContent")
    assert not openai.record
    job = two.jobs()[0]
    assert (job.engine, job.model, job.pinned) == ("gemini", "gemini-sandbox-image", True)


def test_another_engine_s_usage_is_whole(two: "Deployment") -> None:
    """Gemini does not say what its counts are made of; into a generation goes text."""
    response = generate(two, "gemini/gemini-sandbox-image")

    usage = ImagesResponse.model_validate_json(response.text, strict=True).usage
    assert usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (7, 1290, 1297)
    assert (usage.input_tokens_details.text_tokens, usage.input_tokens_details.image_tokens) == (7, 0)


def test_a_bare_name_goes_to_the_configured_engine(two: "Deployment", openai: SandboxState) -> None:
    """Also where it is the one that the other engine would know."""
    generate(two, "gpt-image-2.6-sunburst")
    refused = generate(two, "gemini-sandbox-image")

    assert [requested.json["model"] for requested in openai.record] == [
        "gpt-image-2.6-sunburst",
        "gemini-sandbox-image",
    ]
    assert refused.json["error"]["param"] == "model"


def test_gemini_refuses_a_model_by_its_name(two: "Deployment") -> None:
    """Its 404 is about nothing else, since the model is all that the path names."""
    refused = generate(two, "gemini/gemini-9-image")

    assert (refused.status, refused.json["error"]["param"]) == (400, "model")
    assert "gemini-9-image is not found" in refused.json["error"]["message"]


@pytest.mark.parametrize(("sampler", "param"), [("euler", "model"), ("none", None)])
def test_comfyui_refuses_a_model_by_its_name(
    deployment: "Deployment", serve: Callable[..., str], sampler: str, param: str | None
) -> None:
    """Where the model's node is all that is refused; a workflow that is wrong elsewhere is the operator's."""
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

    refused = generate(deployment, "none.safetensors")

    assert (refused.status, refused.json["error"]["param"]) == (400, param)
    assert "none.safetensors" in refused.json["error"]["message"]


@pytest.mark.parametrize("model", ["black-forest-labs/flux-1.1-pro", "comfyui/flux-dev"])
def test_a_slash_that_names_no_configured_engine_is_part_of_the_name(
    two: "Deployment", openai: SandboxState, model: str
) -> None:
    """ComfyUI is an engine's name, and has no server here."""
    generate(two, model)

    assert openai.record[-1].json["model"] == model


def test_an_engine_without_a_model_gets_no_other_engine_s(two: "Deployment", gemini: SandboxState) -> None:
    """The configured model is openai's; gemini has none of its own, and says so."""
    response = generate(two, "gemini/")

    assert (response.status, response.json["error"]["code"]) == (409, "not_configured")
    assert not gemini.record


def test_the_other_channels_take_names_as_they_are(two: "Deployment", openai: SandboxState) -> None:
    """Their names come from the engine's own list, as a LiteLLM server's do."""
    generate(two, "gemini/gemini-sandbox-image", "/api/v1/images/generations")

    assert openai.record[-1].json["model"] == "gemini/gemini-sandbox-image"


def test_a_named_engine_stays_when_the_configuration_changes(
    queue_deployment: "Deployment", gemini: SandboxState, serve: Callable[..., str]
) -> None:
    """A queued job runs where its request said, and is not given to another engine meanwhile."""
    url = serve(import_module("sandbox.engines.gemini").create_app(gemini))
    queue_deployment.configure(IMAGES_GEMINI_API_BASE_URL=f"{url}/v1beta", IMAGES_GEMINI_API_KEY="planted-engine-key")
    generate(queue_deployment, "openai/gpt-image-2")
    generate(queue_deployment, "gpt-image-2")

    queue_deployment.configure(IMAGE_GENERATION_ENGINE="gemini", IMAGE_GENERATION_MODEL="gemini-sandbox-image")
    queue_deployment.work()

    by_name, configured = reversed(queue_deployment.jobs())
    assert (by_name.engine, by_name.model, by_name.status) == ("openai", "gpt-image-2", "succeeded")
    assert configured.engine == "gemini"


def test_what_a_limited_token_may_use(two: "Deployment") -> None:
    """The engine and the model that are resolved count, not how they are written."""
    role = limited(two, engines=["gemini"], models=["gemini-sandbox-image"])

    statuses = {
        model: generate(two, model, role=role).status
        for model in ("gemini/gemini-sandbox-image", "gemini/gemini-sandbox-flash-image", "gpt-image-2", None)
    }

    assert list(statuses.values()) == [200, 403, 403, 403]


def test_a_limited_token_s_job_runs_as_it_was_allowed(queue_deployment: "Deployment", openai: SandboxState) -> None:
    """Another default by the time it is done is nothing to it."""
    generate(
        queue_deployment, None, "/api/v1/images/generations", role=limited(queue_deployment, models=["gpt-image-2"])
    )

    queue_deployment.configure(IMAGE_GENERATION_MODEL="gpt-image-2.6-sunburst")
    queue_deployment.work()

    assert openai.record[-1].json["model"] == "gpt-image-2"
