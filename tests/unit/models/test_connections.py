"""Connections: what each engine's may have, and what is stored and shown of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.models.config import MASK, ImagesConfig
from image_gateway.models.connection_forms import ConnectionForm, ConnectionInfo
from image_gateway.models.connections import StoredConnection
from image_gateway.models.servers import ServerAccess

AZURE: dict[str, Any] = {
    "engine": "openai",
    "base_url": "https://eu.openai.azure.com/openai/deployments/gpt-image-2/",
    "key": "azure-key-1",
    "api_version": "2025-04-01-preview",
    "auth": "api-key",
    "dialect": "azure",
    "params": {"quality": "low"},
    "timeout_seconds": 120,
    "max_concurrent": 4,
}


def _problem(fields: dict[str, Any]) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        ConnectionForm.model_validate(fields)
    return dict(caught.value.errors(include_input=False)[0])


def test_stored_connection_has_every_field_but_the_key() -> None:
    """What is stored of a connection in the catalogue is all that was set, without the key."""
    stored = ConnectionForm.model_validate(AZURE).stored()

    assert stored == {name: value for name, value in AZURE.items() if name != "key"} | {
        "base_url": "https://eu.openai.azure.com/openai/deployments/gpt-image-2"
    }


@pytest.mark.parametrize("engine", ["openai", "gemini"])
def test_provider_with_one_address_needs_no_url(engine: str) -> None:
    """A connection of an engine whose provider has one address uses that one by default."""
    assert ConnectionForm.model_validate({"engine": engine}).base_url.startswith("https://")


@pytest.mark.parametrize("engine", ["comfyui", "automatic1111"])
def test_engine_without_a_provider_needs_a_url(engine: str) -> None:
    """A connection of an engine that everybody runs for themselves needs a URL."""
    assert _problem({"engine": engine})["ctx"]["field"] == "base_url"


@pytest.mark.parametrize(
    ("engine", "field", "value"),
    [
        ("gemini", "api_version", "2025"),
        ("comfyui", "dialect", "azure"),
        ("comfyui", "params", {"quality": "low"}),
        ("gemini", "params", {"quality": "low"}),
        ("automatic1111", "extra_fields", ["seed"]),
        ("openai", "endpoint_method", "predict"),
    ],
)
def test_field_of_another_engine_is_refused(engine: str, field: str, value: object) -> None:
    """A field that the connection's engine does not have is refused, and named."""
    problem = _problem({"engine": engine, "base_url": "http://gpu-1:8188", field: value})

    assert problem["ctx"]["field"] == field


@pytest.mark.parametrize(
    "params",
    [
        {"api_key": "x"},
        {"extra_data": {"api_key_comfy_org": "x"}},
        {"headers": [{"Authorization": "x"}]},
        {"apiKey": "x"},
        {"accessToken": "x"},
        {"password": "x"},
        {"note": "sk-proj-abcdefghijklmnopqrstuvwxyz"},
        {"note": ["Bearer abcdefghijkl"]},
    ],
)
def test_params_with_a_secret_are_refused(params: dict[str, Any]) -> None:
    """Parameters are shown, so what looks like a secret by its name or value is refused and not repeated."""
    problem = _problem({"engine": "openai", "params": params})

    assert problem["loc"] == ("params",)
    assert "abcdefghij" not in problem["msg"]


@pytest.mark.parametrize(
    "params",
    [
        {"max_tokens": 5},
        {"override_settings": {"token_merging_ratio": 0.5}},
        {"quality": "high", "keyframes": [1]},
        {"author": "sketch of a secretary"},
    ],
)
def test_params_without_secrets_are_kept(params: dict[str, Any]) -> None:
    """Parameters whose names only resemble those of secrets are accepted."""
    assert ConnectionForm.model_validate({"engine": "openai", "params": params}).params == params


def test_key_for_basic_is_a_pair() -> None:
    """A user name and a password may be an object, and are one string after that."""
    pair = {"username": "u", "password": "p:1"}
    form = ConnectionForm.model_validate(
        {"engine": "comfyui", "base_url": "http://gpu-1:8188", "auth": "basic", "key": pair}
    )

    assert form.key == "u:p:1"


@pytest.mark.parametrize(("auth", "key"), [("basic", "no-pair"), ("none", "a-key"), ("basic", {"username": "u"})])
def test_key_that_cannot_be_sent_is_refused(auth: str, key: object) -> None:
    """A key that does not fit to the way in which it is sent is refused, and not repeated in the error."""
    problem = _problem({"engine": "comfyui", "base_url": "http://gpu-1:8188", "auth": auth, "key": key})

    assert "no-pair" not in str(problem)
    assert "a-key" not in str(problem)


def test_no_text_of_a_connection_shows_its_key() -> None:
    """Neither a repr nor what is shown of a connection contains its key."""
    form = ConnectionForm.model_validate(AZURE)
    info = ConnectionInfo(**form.stored(), name="azure-eu", key="azure-key-1")

    assert "azure-key-1" not in repr(form)
    assert "azure-key-1" not in repr(info)
    assert info.key == MASK


def test_stored_connection_of_a_newer_version_is_read() -> None:
    """Fields of a stored connection that only a newer version knows are ignored."""
    stored = StoredConnection.model_validate({**ConnectionForm.model_validate(AZURE).stored(), "proxy": "p"})

    assert stored.max_concurrent == 4


def test_pair_for_basic_is_secret_in_every_form() -> None:
    """Of a key for HTTP Basic, the password and the base64 of the header are removed from messages too."""
    access = ServerAccess("gpu-1", auth="basic")
    config = ImagesConfig().with_access(access, {"COMFYUI_API_KEY": "user:password-1"})

    assert {"user:password-1", "password-1", "dXNlcjpwYXNzd29yZC0x"} <= set(config.secrets())
