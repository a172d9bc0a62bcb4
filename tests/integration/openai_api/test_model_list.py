"""The list of models, and one model by its id."""

import asyncio
import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from openai.types import Model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from image_gateway.access.principals import Principal, Role
from image_gateway.api import WARNINGS_HEADER
from image_gateway.engines.protocol import Engine
from image_gateway.event_loop import run
from image_gateway.models.images import ModelInfo
from image_gateway.openai_api.model_list import ModelList
from image_gateway.routing.destination import Destination
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def listed_models(deployment: "Deployment", role: str = "user") -> list[str]:
    """Return the ids of the listed models."""
    response = deployment.call("GET", "/v1/models", role=role)
    assert (response.status, response.json["object"]) == (200, "list")
    return [Model.model_validate(model, strict=True).id for model in response.json["data"]]


def limited_role(deployment: "Deployment", **limits: Any) -> str:
    """Create a token with limits; return its role."""
    deployment.tokens["limited"] = deployment.token("a limited one", **limits)
    return "limited"


def test_every_model_is_listed_with_its_engines_prefix(two_engines: "Deployment") -> None:
    """The configured engine's models are listed without a prefix as well; every listed id can be read."""
    names = listed_models(two_engines)

    assert {"openai/gpt-image-2", "gpt-image-2", "gemini/gemini-sandbox-image"} <= set(names)
    assert "gemini-sandbox-image" not in names
    for name in names:
        response = two_engines.call("GET", f"/v1/models/{name}", role="user")
        assert (response.status, response.json["id"]) == (200, name)


def test_aliases_are_listed_and_can_be_requested(two_engines: "Deployment", openai: SandboxState) -> None:
    """A client that can send only `dall-e-3` gets the model that the operator chose, if its token may use that one."""
    two_engines.configure(
        IMAGE_MODEL_ALIASES={"dall-e-3": "gpt-image-2", "other": "gemini/gemini-sandbox-image"}, IMAGE_SIZE="64x64"
    )
    role = limited_role(two_engines, engines=["openai"])

    body = {"prompt": "a fox", "model": "dall-e-3", "quality": "standard"}
    response = two_engines.call("POST", "/v1/images/generations", body, role=role)

    assert (response.status, openai.record[-1].json["model"]) == (200, "gpt-image-2")
    assert any("quality standard" in warning for warning in response.json["warnings"])
    assert {"dall-e-3", "other"} <= set(listed_models(two_engines))
    assert "other" not in listed_models(two_engines, role)
    assert two_engines.call("GET", "/v1/models/other", role="user").json["owned_by"] == "gemini"


def test_models_of_the_edit_engine_are_listed(
    two_engines: "Deployment", serve: Callable[..., str], openai: SandboxState
) -> None:
    """A server that is configured for both is called once."""
    url = serve(import_module("sandbox.engines.automatic1111").create_app(SandboxState()))
    two_engines.configure(
        IMAGE_EDIT_ENGINE="automatic1111", AUTOMATIC1111_BASE_URL=url, IMAGES_EDIT_OPENAI_API_BASE_URL=""
    )

    names = listed_models(two_engines)

    assert any(name.startswith("automatic1111/") for name in names)
    assert len(names) == len(set(names))
    assert len([request for request in openai.record if request.path == "/v1/models"]) == 1


def test_models_are_listed_if_only_edits_are_configured(deployment: "Deployment", serve: Callable[..., str]) -> None:
    """Every listed model can be read by its id."""
    url = serve(import_module("sandbox.engines.openai").create_app(SandboxState()))
    deployment.configure(
        ENABLE_IMAGE_EDIT=True, IMAGES_EDIT_OPENAI_API_BASE_URL=f"{url}/v1", IMAGES_EDIT_OPENAI_API_KEY="k"
    )

    names = listed_models(deployment)

    assert names
    assert {deployment.call("GET", f"/v1/models/{name}", role="user").status for name in names} == {200}
    assert deployment.call("GET", "/v1/models/another", role="user").status == 404


def test_a_failing_engines_models_are_missing_with_a_warning(two_engines: "Deployment", gemini: SandboxState) -> None:
    """The other engines' models are listed."""
    gemini.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]

    response = two_engines.call("GET", "/v1/models", role="user")

    assert response.status == 200
    assert {model["owned_by"] for model in response.json["data"]} == {"openai"}
    assert "models of gemini are missing: gemini answered 500: on fire" in response.headers[WARNINGS_HEADER]


class _ListedEngine:
    """An engine that adds its name to `listed` as soon as it has listed its models."""

    def __init__(self, engine: Engine, name: str, listed: set[str]) -> None:
        self._engine = engine
        self._name = name
        self._listed = listed

    async def models(self) -> list[ModelInfo]:
        models = await self._engine.models()
        self._listed.add(self._name)
        return models


def test_a_hanging_engines_models_are_missing_after_the_time_limit(
    two_engines: "Deployment", serve: Callable[..., str], event_loop_time: LoopTime
) -> None:
    """The other engines' models are listed, with a warning. The time limit is reached once they are."""
    hanging, never = threading.Event(), asyncio.Event()
    listed: set[str] = set()

    async def hang(_request: Request) -> None:
        hanging.set()
        await never.wait()

    def make_engine(destination: Destination) -> Any:
        return _ListedEngine(two_engines.gateway.engines.at(destination), destination.engine, listed)

    def advance_time() -> None:
        wait_until(lambda: hanging.is_set() and listed == {"openai", "gemini"})
        event_loop_time.advance(100)

    url = serve(Starlette(routes=[Route("/sdapi/v1/sd-models", hang)]))
    two_engines.configure(AUTOMATIC1111_BASE_URL=url)
    principal = Principal("1", "anybody", Role.USER)

    with meanwhile(advance_time):
        models, warnings = run(ModelList(two_engines.gateway.configs, make_engine, timeout=100).all(principal))

    assert {model.owned_by for model in models} == {"openai", "gemini"}
    assert warnings == ["models of automatic1111 are missing: automatic1111 did not list its models within 100 s"]


def test_the_list_fails_if_every_engine_fails(
    two_engines: "Deployment", gemini: SandboxState, openai: SandboxState
) -> None:
    """The error is the first engine's."""
    for engine in (gemini, openai):
        engine.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]

    response = two_engines.call("GET", "/v1/models", role="user")

    assert (response.status, response.json["error"]["code"]) == (502, "engine_unavailable")
    assert "openai answered 500" in response.json["error"]["message"]


def test_the_list_without_a_configured_engine_is_a_409(deployment: "Deployment") -> None:
    """The error names the field to set."""
    response = deployment.call("GET", "/v1/models", role="user")

    assert (response.status, response.json["error"]["code"]) == (409, "not_configured")
    assert response.json["error"]["param"] == "IMAGES_OPENAI_API_KEY"


def test_a_limited_token_sees_only_its_models(two_engines: "Deployment") -> None:
    """Other models are neither listed nor found."""
    role = limited_role(two_engines, models=["gemini-sandbox-image"])

    assert listed_models(two_engines, role) == ["gemini/gemini-sandbox-image"]
    assert two_engines.call("GET", "/v1/models/gpt-image-2", role=role).status == 404


@pytest.mark.parametrize("name", ["nothing", "gemini/nothing", "x/" + "y" * 500])
def test_an_unknown_model_is_a_404(two_engines: "Deployment", name: str) -> None:
    """The error is short, however long the name is."""
    response = two_engines.call("GET", f"/v1/models/{name}", role="user")

    assert (response.status, response.json["error"]["param"], response.json["error"]["code"]) == (
        404,
        "model",
        "not_found",
    )
    assert len(response.text) < 500


def test_other_engines_are_not_called_for_a_limited_token(
    two_engines: "Deployment", gemini: SandboxState, openai: SandboxState
) -> None:
    """Their errors are not in its warnings."""
    gemini.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]
    role = limited_role(two_engines, engines=["openai"])

    response = two_engines.call("GET", "/v1/models", role=role)

    assert {model["owned_by"] for model in response.json["data"]} == {"openai"}
    assert WARNINGS_HEADER not in response.headers
    assert gemini.record == []


def test_a_token_for_an_unconfigured_engine_has_an_empty_list(two_engines: "Deployment") -> None:
    """There is no error."""
    assert listed_models(two_engines, limited_role(two_engines, engines=["comfyui"])) == []


def test_an_alias_of_a_model_that_is_not_listed_is_a_model(two_engines: "Deployment", openai: SandboxState) -> None:
    """Many servers take models that they do not list, and an alias is in the list in any case."""
    two_engines.configure(IMAGE_MODEL_ALIASES={"dall-e-2": "sandbox-url-2", "ending": "gpt-image-1.5"})

    found = two_engines.call("GET", "/v1/models/dall-e-2", role="user")
    openai.knobs.faults = [Fault(500, times=-1)]
    while_down = two_engines.call("GET", "/v1/models/dall-e-2", role="user")

    assert (found.status, found.json["owned_by"]) == (200, "openai")
    assert while_down.status == 200


def test_an_alias_has_the_end_of_its_model(two_engines: "Deployment") -> None:
    """Its requests get the warning too."""
    two_engines.configure(IMAGE_MODEL_ALIASES={"ending": "gpt-image-1.5"})

    listed = {model["id"]: model for model in two_engines.call("GET", "/v1/models", role="user").json["data"]}

    assert listed["ending"]["ends_on"] == listed["gpt-image-1.5"]["ends_on"] == "2026-12-01"
    assert two_engines.call("GET", "/v1/models/ending", role="user").json == listed["ending"]


def test_a_limited_token_does_not_see_an_alias_of_another_model(two_engines: "Deployment") -> None:
    """An alias gives no more rights than the model that it stands for."""
    two_engines.configure(IMAGE_MODEL_ALIASES={"mine": "gpt-image-1.5"})
    role = limited_role(two_engines, models=["gpt-image-2"])

    assert two_engines.call("GET", "/v1/models/mine", role=role).status == 404
    assert "mine" not in listed_models(two_engines, role)
