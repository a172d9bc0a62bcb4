"""Models that name their engine: where requests run, and what the list of models says."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from openai.types import ImagesResponse, Model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from image_gateway.access.principals import Principal, Role
from image_gateway.api import WARNINGS
from image_gateway.event_loop import run
from image_gateway.openai_api.model_list import ModelList
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import Fault, SandboxState

if TYPE_CHECKING:
    from tests.integration.conftest import Answer, Deployment

PATH = "/v1/images/generations"


@pytest.fixture
def gemini() -> SandboxState:
    """The knobs and the record of the sandbox's gemini engine."""
    return SandboxState()


@pytest.fixture
def two(generating: "Deployment", gemini: SandboxState, serve: Callable[..., str]) -> "Deployment":
    """A deployment that generates with openai, and has gemini beside it."""
    url = serve(import_module("sandbox.engines.gemini").create_app(gemini))
    generating.configure(IMAGES_GEMINI_API_BASE_URL=f"{url}/v1beta", IMAGES_GEMINI_API_KEY="planted-engine-key")
    return generating


def generate(deployment: "Deployment", model: str | None, path: str = PATH, role: str = "user") -> "Answer":
    return deployment.call("POST", path, {"prompt": "a fox", "model": model}, role=role)


def listed(deployment: "Deployment", role: str = "user") -> list[str]:
    answer = deployment.call("GET", "/v1/models", role=role)
    assert (answer.status, answer.json["object"]) == (200, "list")
    return [Model.model_validate(model, strict=True).id for model in answer.json["data"]]


def limited(deployment: "Deployment", **limits: Any) -> str:
    """The role of a new token with limits."""
    deployment.tokens["limited"] = deployment.token("a limited one", **limits)
    return "limited"


def test_a_model_with_its_engine_runs_there(two: "Deployment", gemini: SandboxState, openai: SandboxState) -> None:
    """The engine gets the model's own name, and what is stored says who made it."""
    answer = generate(two, "gemini/gemini-sandbox-image")

    assert answer.status == 200, answer.text
    assert gemini.record[-1].path.endswith("/models/gemini-sandbox-image:generateContent")
    assert not openai.record
    job = two.jobs()[0]
    assert (job.engine, job.model, job.pinned) == ("gemini", "gemini-sandbox-image", True)


def test_another_engine_s_usage_is_whole(two: "Deployment") -> None:
    """Gemini does not say what its counts are made of; into a generation goes text."""
    answer = generate(two, "gemini/gemini-sandbox-image")

    usage = ImagesResponse.model_validate_json(answer.text, strict=True).usage
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
    answer = generate(two, "gemini/")

    assert (answer.status, answer.json["error"]["code"]) == (409, "not_configured")
    assert not gemini.record


def test_the_other_channels_take_names_as_they_are(two: "Deployment", openai: SandboxState) -> None:
    """Their names come from the engine's own list, as a LiteLLM server's do."""
    generate(two, "gemini/gemini-sandbox-image", "/api/v1/images/generations")

    assert openai.record[-1].json["model"] == "gemini/gemini-sandbox-image"


def test_a_named_engine_stays_when_the_configuration_changes(
    queued: "Deployment", gemini: SandboxState, serve: Callable[..., str]
) -> None:
    """A queued job runs where its request said, and is not given to another engine meanwhile."""
    url = serve(import_module("sandbox.engines.gemini").create_app(gemini))
    queued.configure(IMAGES_GEMINI_API_BASE_URL=f"{url}/v1beta", IMAGES_GEMINI_API_KEY="planted-engine-key")
    generate(queued, "openai/gpt-image-2")
    generate(queued, "gpt-image-2")

    queued.configure(IMAGE_GENERATION_ENGINE="gemini", IMAGE_GENERATION_MODEL="gemini-sandbox-image")
    queued.work()

    by_name, configured = reversed(queued.jobs())
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


def test_a_limited_token_s_job_runs_as_it_was_allowed(queued: "Deployment", openai: SandboxState) -> None:
    """Another default by the time it is done is nothing to it."""
    generate(queued, None, "/api/v1/images/generations", role=limited(queued, models=["gpt-image-2"]))

    queued.configure(IMAGE_GENERATION_MODEL="gpt-image-2.6-sunburst")
    queued.work()

    assert openai.record[-1].json["model"] == "gpt-image-2"


def test_every_model_is_listed_by_its_engine(two: "Deployment") -> None:
    """Those of the configured engine by their bare names as well; each listed name can be asked for."""
    names = listed(two)

    assert {"openai/gpt-image-2", "gpt-image-2", "gemini/gemini-sandbox-image"} <= set(names)
    assert "gemini-sandbox-image" not in names
    for name in names:
        answer = two.call("GET", f"/v1/models/{name}", role="user")
        assert (answer.status, answer.json["id"]) == (200, name)


def test_a_server_for_edits_is_asked_as_well(
    two: "Deployment", serve: Callable[..., str], openai: SandboxState
) -> None:
    """Its models are there for edits; a server that does both is asked once."""
    url = serve(import_module("sandbox.engines.automatic1111").create_app(SandboxState()))
    two.configure(IMAGE_EDIT_ENGINE="automatic1111", AUTOMATIC1111_BASE_URL=url, IMAGES_EDIT_OPENAI_API_BASE_URL="")

    names = listed(two)

    assert any(name.startswith("automatic1111/") for name in names)
    assert len(names) == len(set(names))
    assert len([requested for requested in openai.record if requested.path == "/v1/models"]) == 1


def test_a_model_of_a_gateway_that_only_edits(deployment: "Deployment", serve: Callable[..., str]) -> None:
    """Every name that is listed is found, also where nothing is configured to generate."""
    url = serve(import_module("sandbox.engines.openai").create_app(SandboxState()))
    deployment.configure(
        ENABLE_IMAGE_EDIT=True, IMAGES_EDIT_OPENAI_API_BASE_URL=f"{url}/v1", IMAGES_EDIT_OPENAI_API_KEY="k"
    )

    names = listed(deployment)

    assert names
    assert {deployment.call("GET", f"/v1/models/{name}", role="user").status for name in names} == {200}
    assert deployment.call("GET", "/v1/models/another", role="user").status == 404


def test_an_engine_that_is_down_leaves_its_models_out(two: "Deployment", gemini: SandboxState) -> None:
    """The others are listed, and a warning says what is missing."""
    gemini.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]

    answer = two.call("GET", "/v1/models", role="user")

    assert answer.status == 200
    assert {model["owned_by"] for model in answer.json["data"]} == {"openai"}
    assert "models of gemini are missing: gemini answered 500: on fire" in answer.headers[WARNINGS]


def test_an_engine_that_hangs_is_not_waited_for(two: "Deployment", serve: Callable[..., str]) -> None:
    """After the limit its models are left out as well."""
    ended = asyncio.Event()

    async def hang(_request: Request) -> None:
        await ended.wait()

    url = serve(Starlette(routes=[Route("/sdapi/v1/sd-models", hang)]))
    two.configure(AUTOMATIC1111_BASE_URL=url)
    principal = Principal("1", "anybody", Role.USER)

    models, warnings = run(ModelList(two.gateway.configs, two.gateway.engine, seconds=0.5).all(principal))

    assert {model.owned_by for model in models} == {"openai", "gemini"}
    assert warnings == ["models of automatic1111 are missing: automatic1111 did not list its models within 0.5 s"]


def test_no_engine_answers(two: "Deployment", gemini: SandboxState, openai: SandboxState) -> None:
    """Only then it is an error, the first engine's."""
    for engine in (gemini, openai):
        engine.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]

    answer = two.call("GET", "/v1/models", role="user")

    assert (answer.status, answer.json["error"]["code"]) == (502, "engine_unavailable")
    assert "openai answered 500" in answer.json["error"]["message"]


def test_nothing_is_configured(deployment: "Deployment") -> None:
    """The error names the field."""
    answer = deployment.call("GET", "/v1/models", role="user")

    assert (answer.status, answer.json["error"]["code"]) == (409, "not_configured")
    assert answer.json["error"]["param"] == "IMAGES_OPENAI_API_KEY"


def test_a_limited_token_sees_its_own(two: "Deployment") -> None:
    """In the list, and one by one."""
    role = limited(two, models=["gemini-sandbox-image"])

    assert listed(two, role) == ["gemini/gemini-sandbox-image"]
    assert two.call("GET", "/v1/models/gpt-image-2", role=role).status == 404


@pytest.mark.parametrize("name", ["nothing", "gemini/nothing", "x/" + "y" * 500])
def test_a_model_that_there_is_not(two: "Deployment", name: str) -> None:
    """A 404 that repeats no more than is needed."""
    answer = two.call("GET", f"/v1/models/{name}", role="user")

    assert (answer.status, answer.json["error"]["param"], answer.json["error"]["code"]) == (404, "model", "not_found")
    assert len(answer.text) < 500


def test_a_limited_token_hears_nothing_of_other_engines(
    two: "Deployment", gemini: SandboxState, openai: SandboxState
) -> None:
    """They are not asked for it, and what is wrong with them is not for it."""
    gemini.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]
    role = limited(two, engines=["openai"])

    answer = two.call("GET", "/v1/models", role=role)

    assert {model["owned_by"] for model in answer.json["data"]} == {"openai"}
    assert WARNINGS not in answer.headers
    assert gemini.record == []


def test_a_token_for_an_engine_that_is_not_there_has_no_models(two: "Deployment") -> None:
    """Its list is empty."""
    assert listed(two, limited(two, engines=["comfyui"])) == []
