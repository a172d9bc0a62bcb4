"""Verifying an engine's URL and credentials, and listing its models."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.models.config import MASK

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


CONFIG = "/api/v1/images/config"


def test_verify_asks_the_engine_with_the_credentials_given(openai_deployment: "Deployment", openai: Any) -> None:
    """True, or the engine's own words."""
    openai.knobs.key = "right-key"
    url = openai_deployment.call("GET", CONFIG).json["IMAGES_OPENAI_API_BASE_URL"]

    good = openai_deployment.call("POST", "/api/v1/images/verify", {"engine": "openai", "url": url, "key": "right-key"})
    bad = openai_deployment.call(
        "POST", "/api/v1/images/verify", {"engine": "openai", "url": url, "key": "wrong-planted"}
    )

    assert (good.status, good.json) == (200, True)
    assert (bad.status, bad.json["code"]) == (400, "engine_rejected")
    assert "wrong-planted" not in bad.text


@pytest.mark.parametrize("key", [MASK, None])
def test_verify_uses_the_configured_key_for_its_own_server(
    openai_deployment: "Deployment", openai: Any, key: str | None
) -> None:
    """An administrator who sees only a mask can still verify."""
    openai.knobs.key = "planted-engine-key"
    body = {"engine": "openai", "key": key}

    assert openai_deployment.call("POST", "/api/v1/images/verify", body).json is True
    assert openai_deployment.call("GET", "/api/v1/images/config/url/verify").json is True


def test_verify_sends_a_configured_key_nowhere_else(openai_deployment: "Deployment", openai: Any) -> None:
    """Another server is asked only with a key of its own."""
    requested = len(openai.record)
    body = {"engine": "openai", "url": "http://127.0.0.1:9/v1", "key": MASK}

    response = openai_deployment.call("POST", "/api/v1/images/verify", body)

    assert (response.status, response.json["field"]) == (422, "IMAGES_OPENAI_API_KEY")
    assert len(openai.record) == requested


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"engine": "x"}, "engine"),
        ({"engine": "openai", "url": "ftp://x"}, "url"),
        ({"engine": "openai", "key": "a\nb"}, "key"),
        ({}, "engine"),
    ],
)
def test_verify_names_a_bad_field(deployment: "Deployment", body: Any, field: str) -> None:
    """A malformed question is not passed on."""
    response = deployment.call("POST", "/api/v1/images/verify", body)

    assert response.status == 422
    assert field in response.json["detail"]


def test_verify_of_what_is_not_there_is_a_502(deployment: "Deployment") -> None:
    """Unreachable is the engine's fault, and nothing was paid."""
    response = deployment.call(
        "POST", "/api/v1/images/verify", {"engine": "openai", "url": "http://127.0.0.1:9", "key": ""}
    )

    assert (response.status, response.json["code"]) == (502, "engine_unavailable")


def test_an_engine_that_is_not_configured_names_its_field(deployment: "Deployment") -> None:
    """409 with the field to set, and a client should not try again by itself."""
    response = deployment.call("GET", "/api/v1/images/config/url/verify")

    assert (response.status, response.json["code"], response.json["field"]) == (
        409,
        "not_configured",
        "IMAGES_OPENAI_API_KEY",
    )
    assert response.headers["x-should-retry"] == "false"


def test_models_come_from_the_engine(openai_deployment: "Deployment") -> None:
    """A user may list what the engine offers for images."""
    response = openai_deployment.call("GET", "/api/v1/images/models", role="user")

    assert response.status == 200
    assert "gpt-image-2" in [model["id"] for model in response.json]
    assert all(set(model) == {"id", "name"} for model in response.json)
