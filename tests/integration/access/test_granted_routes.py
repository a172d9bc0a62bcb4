"""Tokens that are limited to routes or connections, in requests."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.sample_images import RED, encoded, text

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

API = "/api/v1/images"


@pytest.fixture
def routed(openai_deployment: "Deployment", openai: "SandboxState") -> "Deployment":
    """A deployment with a connection `mine`, and with routes to it, to the configured engine, and to nothing usable."""
    openai.knobs.key = ""
    url = openai_deployment.call("GET", f"{API}/config").json["IMAGES_OPENAI_API_BASE_URL"]
    openai_deployment.configure(
        ENABLE_IMAGE_EDIT=True, IMAGES_EDIT_OPENAI_API_BASE_URL=url, IMAGES_EDIT_OPENAI_API_KEY="planted-engine-key"
    )
    put(openai_deployment, "connections/mine", engine="openai", base_url=url, key="planted-my-key", timeout_seconds=5)
    target = {"connection": "mine", "model": "gpt-image-2", "size": "64x64"}
    put(openai_deployment, "routes/poster", targets=[target])
    put(openai_deployment, "routes/both", targets=[target, {"connection": "openai", "model": "gpt-image-2"}])
    put(openai_deployment, "routes/broken", targets=[{"connection": "gemini-edit"}])
    return openai_deployment


def put(deployment: "Deployment", path: str, **fields: Any) -> None:
    response = deployment.call("PUT", f"{API}/{path}", fields)
    assert response.status == 201, response.text


def generate(deployment: "Deployment", model: str, *, edit: bool = False) -> int:
    """Request an image as the limited token; return the status."""
    form: dict[str, Any] = {"prompt": "a heron", "model": model}
    if edit:
        form["image"] = text(encoded(RED))
    return deployment.call("POST", f"{API}/{'edit' if edit else 'generations'}", form, role="limited").status


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ({"routes": {"poster"}}, {"poster"}),
        ({"routes": {"both"}, "engines": {"gemini"}}, {"both"}),
        ({"connections": {"mine"}}, {"poster"}),
        ({"connections": {"openai"}}, {"gpt-image-2"}),
        ({"connections": {"mine", "openai"}}, {"poster", "both", "gpt-image-2"}),
        ({"engines": {"gemini"}}, set()),
        ({"models": {"gpt-image-2"}}, {"poster", "both", "gpt-image-2"}),
    ],
)
def test_a_limited_token_gets_images_by_what_it_may_use(
    routed: "Deployment", limits: dict[str, Any], allowed: set[str]
) -> None:
    """A route is for whom it was granted, and for whom all its targets are allowed; everybody else gets a 403."""
    routed.tokens["limited"] = routed.token("limited", **limits)

    statuses = {model: generate(routed, model) for model in ("poster", "both", "gpt-image-2")}

    assert statuses == {model: 200 if model in allowed else 403 for model in statuses}


def test_a_granted_route_edits_too(routed: "Deployment") -> None:
    """A route is granted for all that it does."""
    routed.tokens["limited"] = routed.token("limited", routes={"poster"})

    assert generate(routed, "poster", edit=True) == 200
    assert generate(routed, "gpt-image-2", edit=True) == 403


def test_a_connection_is_named_before_a_model_on_the_openai_channel_only_by_whom_may_use_it(
    routed: "Deployment",
) -> None:
    """A token for one connection cannot name another one."""
    routed.tokens["limited"] = routed.token("limited", connections={"mine"})

    statuses = [
        routed.call(
            "POST", "/v1/images/generations", {"prompt": "x", "model": f"{name}/gpt-image-2"}, role="limited"
        ).status
        for name in ("mine", "openai")
    ]

    assert statuses == [200, 403]


def test_what_is_wrong_with_a_route_is_said_to_those_who_may_use_it(routed: "Deployment") -> None:
    """Others learn nothing about its connections."""
    routed.tokens["limited"] = routed.token("limited", routes={"poster"})
    form = {"prompt": "a heron", "model": "broken"}

    refused = routed.call("POST", f"{API}/generations", form, role="limited")

    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert "edits only" not in refused.json["detail"]
    assert routed.call("POST", f"{API}/generations", form, role="user").json["code"] == "not_configured"


def test_a_route_to_the_configured_model_is_listed_for_those_who_may_use_that(routed: "Deployment") -> None:
    """Its target names no model, so the configured one counts."""
    routed.configure(IMAGE_GENERATION_MODEL="gpt-image-2", IMAGE_EDIT_MODEL="gpt-image-2")
    put(routed, "routes/everyday", targets=[{"connection": "openai"}])
    listed = {}
    for model in ("gpt-image-2", "gpt-image-1"):
        routed.tokens["limited"] = routed.token("limited", models={model})
        models = routed.call("GET", f"{API}/models", role="limited").json
        listed[model] = "everyday" in [each["id"] for each in models], generate(routed, "everyday")

    assert listed == {"gpt-image-2": (True, 200), "gpt-image-1": (False, 403)}
