"""Verifying an engine's URL and credentials, and listing its models."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.models.config import MASK

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

CONFIG = "/api/v1/images/config"


def test_verify_calls_the_engine_with_the_given_credentials(openai_deployment: "Deployment", openai: Any) -> None:
    """The response is `true`, or an error with the engine's error text."""
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
def test_verify_uses_the_configured_key_for_the_configured_server(
    openai_deployment: "Deployment", openai: Any, key: str | None
) -> None:
    """An administrator who sees only a mask can still verify."""
    openai.knobs.key = "planted-engine-key"
    body = {"engine": "openai", "key": key}

    assert openai_deployment.call("POST", "/api/v1/images/verify", body).json is True
    assert openai_deployment.call("GET", "/api/v1/images/config/url/verify").json is True


def test_verify_sends_a_configured_key_to_no_other_server(openai_deployment: "Deployment", openai: Any) -> None:
    """Another server is called only with a key that the request contains."""
    calls_before = len(openai.record)
    body = {"engine": "openai", "url": "http://127.0.0.1:9/v1", "key": MASK}

    response = openai_deployment.call("POST", "/api/v1/images/verify", body)

    assert (response.status, response.json["field"]) == (422, "IMAGES_OPENAI_API_KEY")
    assert len(openai.record) == calls_before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"engine": "x"}, "engine"),
        ({"engine": "openai", "url": "ftp://x"}, "url"),
        ({"engine": "openai", "key": "a\nb"}, "key"),
        ({}, "engine"),
    ],
)
def test_verify_names_an_invalid_field(deployment: "Deployment", body: Any, field: str) -> None:
    """An invalid request is not sent to an engine."""
    response = deployment.call("POST", "/api/v1/images/verify", body)

    assert response.status == 422
    assert field in response.json["detail"]


def test_verify_of_an_unreachable_server_is_a_502(deployment: "Deployment") -> None:
    """The error is `engine_unavailable`."""
    response = deployment.call(
        "POST", "/api/v1/images/verify", {"engine": "openai", "url": "http://127.0.0.1:9", "key": ""}
    )

    assert (response.status, response.json["code"]) == (502, "engine_unavailable")


def test_an_unconfigured_engine_is_a_409_that_names_the_field(deployment: "Deployment") -> None:
    """The error names the field to set, and tells clients not to retry."""
    response = deployment.call("GET", "/api/v1/images/config/url/verify")

    assert (response.status, response.json["code"], response.json["field"]) == (
        409,
        "not_configured",
        "IMAGES_OPENAI_API_KEY",
    )
    assert response.headers["x-should-retry"] == "false"


def test_models_are_listed_by_the_engine(openai_deployment: "Deployment") -> None:
    """A user may list the image models of the engine."""
    response = openai_deployment.call("GET", "/api/v1/images/models", role="user")

    assert response.status == 200
    assert "gpt-image-2" in [model["id"] for model in response.json]
    assert all({"id", "name"} <= set(model) <= {"id", "name", "ends_on"} for model in response.json)
