"""Routes in the lists of models: first, for those who may use them, and also while no engine answers."""

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.state import Fault, SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

MODELS = "/api/v1/images/models"


@pytest.fixture
def routed(openai_deployment: "Deployment") -> "Deployment":
    """A deployment with a connection, and with routes to it and to the configured engine."""
    put(openai_deployment, "connections/azure-eu", engine="openai", base_url="https://eu.example/v1", key="k")
    put(openai_deployment, "routes/poster", targets=[{"connection": "azure-eu", "model": "gpt-image-2"}])
    put(openai_deployment, "routes/draft", targets=[{"connection": "openai"}, {"connection": "azure-eu"}])
    return openai_deployment


def put(deployment: "Deployment", path: str, **fields: Any) -> None:
    response = deployment.call("PUT", f"/api/v1/images/{path}", fields)
    assert response.status in (200, 201), response.text


def listed(deployment: "Deployment", role: str) -> tuple[list[str], list[str]]:
    """Return the ids of both lists."""
    openai = deployment.call("GET", "/v1/models", role=role).json["data"]
    images = deployment.call("GET", MODELS, role=role).json
    return [model["id"] for model in openai], [model["id"] for model in images]


def test_routes_are_listed_before_models(routed: "Deployment") -> None:
    """Both lists have the routes first; each can be read by its name and says what it is."""
    openai, images = listed(routed, "user")

    assert (openai[:2], images[:2]) == (["draft", "poster"], ["draft", "poster"])
    assert "gpt-image-2" in openai
    assert "gpt-image-2" in images
    read = routed.call("GET", "/v1/models/poster", role="user").json
    assert (read["id"], read["owned_by"]) == ("poster", "route")


def test_a_route_hides_the_model_of_its_name(routed: "Deployment") -> None:
    """A route may have a model's name, and is listed once, because requests by that name use the route."""
    put(routed, "routes/gpt-image-2", targets=[{"connection": "azure-eu"}])

    openai, images = listed(routed, "user")

    assert (openai.count("gpt-image-2"), images.count("gpt-image-2")) == (1, 1)
    assert routed.call("GET", "/v1/models/gpt-image-2", role="user").json["owned_by"] == "route"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"routes": {"poster"}}, ["poster"]),
        ({"connections": {"azure-eu"}}, ["poster"]),
        ({"connections": {"azure-eu", "openai"}}, ["draft", "poster"]),
        ({"models": {"gpt-image-2"}}, ["poster"]),
        ({"engines": {"comfyui"}, "routes": {"draft"}}, ["draft"]),
    ],
)
def test_a_limited_token_sees_the_routes_that_it_may_use(
    routed: "Deployment", limits: dict[str, Any], expected: list[str]
) -> None:
    """A route is listed if it is granted, or if all its targets are allowed; others do not exist for the token."""
    routed.tokens["limited"] = routed.token("limited", **limits)

    openai, images = listed(routed, "limited")

    found = [name for name in openai if name in ("draft", "poster")]
    assert (found, [name for name in images if name in ("draft", "poster")]) == (expected, expected)
    for name in {"draft", "poster"} - set(expected):
        assert routed.call("GET", f"/v1/models/{name}", role="limited").status == 404


def test_a_token_for_routes_sees_nothing_else(routed: "Deployment", openai: SandboxState) -> None:
    """The engines are not even called."""
    routed.tokens["limited"] = routed.token("limited", routes={"poster"})
    calls = len(openai.record)

    assert listed(routed, "limited") == (["poster"], ["poster"])
    assert len(openai.record) == calls
    generation = routed.call("POST", "/api/v1/images/generations", {"prompt": "a heron"}, role="limited")
    assert (generation.status, generation.json["code"]) == (403, "forbidden")


def test_routes_are_listed_while_no_engine_answers(routed: "Deployment", openai: SandboxState) -> None:
    """Routes are known without their servers; of the models that are missing the OpenAI list has a warning."""
    openai.knobs.faults = [Fault(500, {"error": {"message": "down"}}, times=-1)]

    assert listed(routed, "user") == (["draft", "poster"], ["draft", "poster"])


def test_without_routes_a_failing_engine_is_an_error(openai_deployment: "Deployment", openai: SandboxState) -> None:
    """Both lists fail with the engine's error if they would be empty."""
    openai.knobs.faults = [Fault(500, {"error": {"message": "down"}}, times=-1)]

    assert openai_deployment.call("GET", "/v1/models", role="user").status == 502
    assert openai_deployment.call("GET", MODELS, role="user").status == 502
