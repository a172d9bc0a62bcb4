"""The list of models, and one model by its id."""

import asyncio
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
from image_gateway.event_loop import run
from image_gateway.openai_api.model_list import ModelList
from sandbox.engines.state import Fault, SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def listed(deployment: "Deployment", role: str = "user") -> list[str]:
    response = deployment.call("GET", "/v1/models", role=role)
    assert (response.status, response.json["object"]) == (200, "list")
    return [Model.model_validate(model, strict=True).id for model in response.json["data"]]


def limited(deployment: "Deployment", **limits: Any) -> str:
    """The role of a new token with limits."""
    deployment.tokens["limited"] = deployment.token("a limited one", **limits)
    return "limited"


def test_every_model_is_listed_by_its_engine(two: "Deployment") -> None:
    """Those of the configured engine by their bare names as well; each listed name can be asked for."""
    names = listed(two)

    assert {"openai/gpt-image-2", "gpt-image-2", "gemini/gemini-sandbox-image"} <= set(names)
    assert "gemini-sandbox-image" not in names
    for name in names:
        response = two.call("GET", f"/v1/models/{name}", role="user")
        assert (response.status, response.json["id"]) == (200, name)


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

    response = two.call("GET", "/v1/models", role="user")

    assert response.status == 200
    assert {model["owned_by"] for model in response.json["data"]} == {"openai"}
    assert "models of gemini are missing: gemini answered 500: on fire" in response.headers[WARNINGS_HEADER]


def test_an_engine_that_hangs_is_not_waited_for(two: "Deployment", serve: Callable[..., str]) -> None:
    """After the limit its models are left out as well."""
    ended = asyncio.Event()

    async def hang(_request: Request) -> None:
        await ended.wait()

    url = serve(Starlette(routes=[Route("/sdapi/v1/sd-models", hang)]))
    two.configure(AUTOMATIC1111_BASE_URL=url)
    principal = Principal("1", "anybody", Role.USER)

    models, warnings = run(ModelList(two.gateway.configs, two.gateway.engine, timeout=0.5).all(principal))

    assert {model.owned_by for model in models} == {"openai", "gemini"}
    assert warnings == ["models of automatic1111 are missing: automatic1111 did not list its models within 0.5 s"]


def test_no_engine_answers(two: "Deployment", gemini: SandboxState, openai: SandboxState) -> None:
    """Only then it is an error, the first engine's."""
    for engine in (gemini, openai):
        engine.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]

    response = two.call("GET", "/v1/models", role="user")

    assert (response.status, response.json["error"]["code"]) == (502, "engine_unavailable")
    assert "openai answered 500" in response.json["error"]["message"]


def test_nothing_is_configured(deployment: "Deployment") -> None:
    """The error names the field."""
    response = deployment.call("GET", "/v1/models", role="user")

    assert (response.status, response.json["error"]["code"]) == (409, "not_configured")
    assert response.json["error"]["param"] == "IMAGES_OPENAI_API_KEY"


def test_a_limited_token_sees_its_own(two: "Deployment") -> None:
    """In the list, and one by one."""
    role = limited(two, models=["gemini-sandbox-image"])

    assert listed(two, role) == ["gemini/gemini-sandbox-image"]
    assert two.call("GET", "/v1/models/gpt-image-2", role=role).status == 404


@pytest.mark.parametrize("name", ["nothing", "gemini/nothing", "x/" + "y" * 500])
def test_a_model_that_there_is_not(two: "Deployment", name: str) -> None:
    """A 404 that repeats no more than is needed."""
    response = two.call("GET", f"/v1/models/{name}", role="user")

    assert (response.status, response.json["error"]["param"], response.json["error"]["code"]) == (
        404,
        "model",
        "not_found",
    )
    assert len(response.text) < 500


def test_a_limited_token_hears_nothing_of_other_engines(
    two: "Deployment", gemini: SandboxState, openai: SandboxState
) -> None:
    """They are not asked for it, and what is wrong with them is not for it."""
    gemini.knobs.faults = [Fault(500, {"error": {"message": "on fire"}}, times=-1)]
    role = limited(two, engines=["openai"])

    response = two.call("GET", "/v1/models", role=role)

    assert {model["owned_by"] for model in response.json["data"]} == {"openai"}
    assert WARNINGS_HEADER not in response.headers
    assert gemini.record == []


def test_a_token_for_an_engine_that_is_not_there_has_no_models(two: "Deployment") -> None:
    """Its list is empty."""
    assert listed(two, limited(two, engines=["comfyui"])) == []
