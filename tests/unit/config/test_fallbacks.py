"""Values for unset fields: from environment variables, and for edits from the fields for generation."""

from typing import Any

import pytest

from image_gateway.config.fallbacks import environment_values, with_edit_fallbacks
from image_gateway.errors import NotConfigured
from image_gateway.models.config import ImagesConfig

URL, OTHER_URL = "https://one.example/v1", "https://other.example/v1"

SERVERS = [
    (f"{name}_BASE_URL", f"{name}_KEY", f"{edit}_BASE_URL", f"{edit}_KEY")
    for name, edit in (
        ("IMAGES_OPENAI_API", "IMAGES_EDIT_OPENAI_API"),
        ("IMAGES_GEMINI_API", "IMAGES_EDIT_GEMINI_API"),
    )
] + [("COMFYUI_BASE_URL", "COMFYUI_API_KEY", "IMAGES_EDIT_COMFYUI_BASE_URL", "IMAGES_EDIT_COMFYUI_API_KEY")]
"""The fields of URL and key for generation, and of URL and key for edits."""

ServerFields = tuple[str, str, str, str]


def config(**fields: Any) -> ImagesConfig:
    return ImagesConfig.model_validate(fields)


@pytest.fixture(params=SERVERS, ids=["openai", "gemini", "comfyui"])
def server(request: pytest.FixtureRequest) -> ServerFields:
    fields: ServerFields = request.param
    return fields


def edit_url_and_key(server: ServerFields, *values: str) -> tuple[str, str]:
    """Return the URL and key that an edit uses if the four fields of `server` have these values."""
    effective = with_edit_fallbacks(config(**dict(zip(server, values, strict=True))))
    return getattr(effective, server[2]), getattr(effective, server[3])


def test_an_empty_url_for_edits_is_the_url_for_generation(server: ServerFields) -> None:
    """URL and key are used together."""
    assert edit_url_and_key(server, URL, "key", "", "") == (URL, "key")


def test_a_key_for_edits_without_a_url_is_not_used(server: ServerFields) -> None:
    """It was set for another server than the one for generation."""
    assert edit_url_and_key(server, URL, "key", "", "edit-key") == (URL, "key")


def test_an_empty_key_for_edits_is_the_key_for_the_same_origin(server: ServerFields) -> None:
    """The origin consists of scheme, host and port; the path can differ."""
    url = "https://ONE.example:443/edits"

    assert edit_url_and_key(server, URL, "key", url, "") == (url, "key")


@pytest.mark.parametrize(
    "url", [OTHER_URL, "http://one.example/v1", "https://one.example:8443/v1", "https://one.example.other.example/v1"]
)
def test_an_empty_key_for_edits_stays_empty_for_another_origin(server: ServerFields, url: str) -> None:
    """A key is only sent to the server that it was set for."""
    assert edit_url_and_key(server, URL, "key", url, "") == (url, "")


def test_a_url_and_key_for_edits_are_used(server: ServerFields) -> None:
    """Fields for edits override those for generation, even on the same server."""
    assert edit_url_and_key(server, URL, "key", URL, "edit-key") == (URL, "edit-key")
    assert edit_url_and_key(server, URL, "key", OTHER_URL, "edit-key") == (OTHER_URL, "edit-key")


@pytest.mark.parametrize(("url", "version"), [("", "2026-01-01"), (URL, "")])
def test_the_version_for_edits_falls_back_together_with_the_url(url: str, version: str) -> None:
    """An `api-version` belongs to a URL."""
    effective = with_edit_fallbacks(
        config(
            IMAGES_OPENAI_API_BASE_URL=URL,
            IMAGES_OPENAI_API_VERSION="2026-01-01",
            IMAGES_EDIT_OPENAI_API_BASE_URL=url,
        )
    )

    assert version == effective.IMAGES_EDIT_OPENAI_API_VERSION


def test_fallbacks_change_no_other_field() -> None:
    """Fields for generation, and the configuration in the argument, are unchanged."""
    configured = config(IMAGES_OPENAI_API_BASE_URL=URL, IMAGES_OPENAI_API_KEY="key", IMAGES_EDIT_OPENAI_API_BASE_URL="")
    before = configured.model_dump()

    effective = with_edit_fallbacks(configured).model_dump()

    assert configured.model_dump() == before
    assert {name for name in effective if effective[name] != before[name]} == {
        "IMAGES_EDIT_OPENAI_API_BASE_URL",
        "IMAGES_EDIT_OPENAI_API_KEY",
    }


def test_a_key_from_a_fallback_is_a_secret() -> None:
    """So it is redacted in messages."""
    configured = config(IMAGES_OPENAI_API_BASE_URL=URL, IMAGES_OPENAI_API_KEY="key", IMAGES_EDIT_OPENAI_API_BASE_URL="")

    assert "key" in with_edit_fallbacks(configured).secrets()


@pytest.mark.parametrize("auth", ["ann:secret", {"username": "ann", "password": "secret"}])
def test_basic_auth_is_a_secret_in_all_its_forms(auth: object) -> None:
    """Password, pair and the value of the header are redacted in messages; the longest are replaced first."""
    configured = config(AUTOMATIC1111_API_AUTH=auth, IMAGES_OPENAI_API_KEY="sk")

    assert configured.secrets() == ["YW5uOnNlY3JldA==", "ann:secret", "secret", "sk"]


def test_environment_variables_set_the_fields_with_their_names() -> None:
    """Text is used as it is, and node maps are JSON; empty variables and other names are ignored."""
    environ = {
        "IMAGE_SIZE": "512x512",
        "IMAGE_STEPS": "",
        "COMFYUI_WORKFLOW_NODES": '[{"type": "prompt", "node_ids": []}]',
        "PATH": "/bin",
    }

    assert environment_values(environ) == {
        "IMAGE_SIZE": "512x512",
        "COMFYUI_WORKFLOW_NODES": [{"type": "prompt", "node_ids": []}],
    }


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"IMAGE_SIZE": "big"}, "IMAGE_SIZE"),
        ({"COMFYUI_WORKFLOW_NODES": "[not json"}, "COMFYUI_WORKFLOW_NODES"),
        (
            {
                "COMFYUI_WORKFLOW": '{"1": {"class_type": "A", "inputs": {}}}',
                "COMFYUI_WORKFLOW_NODES": '[{"type": "prompt", "node_ids": ["2"]}]',
            },
            "COMFYUI_WORKFLOW_NODES",
        ),
    ],
)
def test_an_invalid_environment_variable_is_an_error_with_its_name(environ: dict[str, str], field: str) -> None:
    """The operator learns which variable to correct."""
    with pytest.raises(NotConfigured, match=field) as caught:
        environment_values(environ)

    assert caught.value.field == field
