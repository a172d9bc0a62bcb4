"""Projection of connections into configurations."""

from typing import Any

import pytest

from image_gateway.config.catalogue import Catalogue
from image_gateway.config.projection import engine_of, for_connection, with_target
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import NotConfigured, StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.models.route_forms import Target
from image_gateway.models.servers import ServerAccess

CONNECTIONS: dict[str, dict[str, Any]] = {
    "azure-eu": {
        "engine": "openai",
        "base_url": "https://eu.openai.azure.com/openai",
        "api_version": "2025-04-01-preview",
        "auth": "api-key",
        "dialect": "azure",
        "params": {"quality": "low"},
        "extra_fields": {"seed": "seed"},
        "timeout_seconds": 100,
    },
    "vertex": {"engine": "gemini", "base_url": "https://vertex.example/v1", "endpoint_method": "predict"},
    "gpu-1": {"engine": "comfyui", "base_url": "http://gpu-1:8188"},
    "forge": {"engine": "automatic1111", "base_url": "http://forge:7860", "params": {"cfg_scale": 5}},
    "newer": {"engine": "veo"},
}
FIELDS = ImagesConfig(
    IMAGES_OPENAI_API_KEY="the-field's-key", IMAGE_GENERATION_MODEL="gpt-image-2", COMFYUI_BASE_URL="http://field:8188"
)
KEYS = {"azure-eu": "azure-key", "vertex": "vertex-key", "gpu-1": "comfy-key", "forge": "user:password"}


def _versioned(connections: dict[str, Any] = CONNECTIONS) -> VersionedConfig:
    return VersionedConfig(FIELDS, 7, catalogue=Catalogue({"connections": connections}), keys=KEYS)


def test_reserved_name_is_the_configuration_itself() -> None:
    """The connections of the configuration's fields are the configuration, unchanged."""
    versioned = _versioned()

    assert for_connection(versioned, "openai") is versioned.config
    assert for_connection(versioned, "comfyui-edit") is versioned.config
    assert engine_of(versioned, "comfyui-edit") == "comfyui"


def test_openai_connection_fills_the_fields_for_generations_and_edits() -> None:
    """An openai connection's URL, key and version take the place of the fields, for edits too."""
    config = for_connection(_versioned(), "azure-eu")

    assert config.access == ServerAccess("azure-eu", "api-key", "azure")
    for prefix in ("IMAGES_OPENAI_API", "IMAGES_EDIT_OPENAI_API"):
        values = [getattr(config, f"{prefix}_{name}") for name in ("BASE_URL", "KEY", "VERSION")]
        assert values == ["https://eu.openai.azure.com/openai", "azure-key", "2025-04-01-preview"]
    assert config.IMAGES_OPENAI_API_PARAMS == {"quality": "low"}
    assert config.IMAGES_OPENAI_API_EXTRA_FIELDS == {"seed": "seed"}
    assert (config.IMAGE_ENGINE_TIMEOUT, config.IMAGE_GENERATION_MODEL) == (100, "")
    assert "the-field's-key" not in config.secrets()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "vertex",
            {
                "IMAGES_GEMINI_API_BASE_URL": "https://vertex.example/v1",
                "IMAGES_EDIT_GEMINI_API_KEY": "vertex-key",
                "IMAGES_GEMINI_ENDPOINT_METHOD": "predict",
            },
        ),
        (
            "gpu-1",
            {
                "COMFYUI_BASE_URL": "http://gpu-1:8188",
                "COMFYUI_API_KEY": "comfy-key",
                "IMAGES_EDIT_COMFYUI_API_KEY": "comfy-key",
            },
        ),
        (
            "forge",
            {
                "AUTOMATIC1111_BASE_URL": "http://forge:7860",
                "AUTOMATIC1111_API_AUTH": "user:password",
                "AUTOMATIC1111_PARAMS": {"cfg_scale": 5},
            },
        ),
    ],
)
def test_connections_of_other_engines_fill_their_fields(name: str, expected: dict[str, Any]) -> None:
    """Connections of the other engines take the place of their engine's fields."""
    config = for_connection(_versioned(), name)

    assert {field: getattr(config, field) for field in expected} == expected
    assert config.IMAGE_ENGINE_TIMEOUT == FIELDS.IMAGE_ENGINE_TIMEOUT


@pytest.mark.parametrize("name", ["unknown", "newer"])
def test_connection_that_cannot_be_used_is_not_replaced_by_another(name: str) -> None:
    """A connection that does not exist, or that only a newer version knows, is an error."""
    with pytest.raises(NotConfigured):
        for_connection(_versioned(), name)


def test_key_is_not_sent_to_another_server_than_its_own() -> None:
    """A job that was accepted before a connection got another server does not send the new key to the old one."""
    moved = {"azure-eu": {**CONNECTIONS["azure-eu"], "base_url": "https://us.openai.azure.com/openai"}}

    with pytest.raises(NotConfigured, match="another server"):
        for_connection(_versioned(moved), "azure-eu", Catalogue({"connections": CONNECTIONS}))
    with pytest.raises(NotConfigured, match="another server"):
        for_connection(_versioned({}), "azure-eu", Catalogue({"connections": CONNECTIONS}))


def test_lost_catalogue_has_no_connections_and_no_gaps() -> None:
    """Without its object, nobody knows what a catalogue had: every question about it is an error."""
    lost = VersionedConfig(FIELDS, 7, catalogue=Catalogue(digest="0" * 64, lost=True))

    for question in (lambda: for_connection(lost, "azure-eu"), lambda: lost.catalogue.route("poster")):
        with pytest.raises(StorageUnavailable, match="config/catalogue/000"):
            question()
    assert for_connection(lost, "openai") is FIELDS


def test_target_has_the_last_word() -> None:
    """A target's model, size, steps and parameters go before those of its connection."""
    target = Target(connection="azure-eu", model="gpt-image-2", size="16:9", steps=9, params={"quality": "high"})

    config = with_target(for_connection(_versioned(), "azure-eu"), target)

    assert (config.IMAGE_GENERATION_MODEL, config.IMAGE_EDIT_MODEL) == ("gpt-image-2", "gpt-image-2")
    assert (config.IMAGE_SIZE, config.IMAGE_EDIT_SIZE, config.IMAGE_STEPS) == ("16:9", "16:9", 9)
    assert config.IMAGES_OPENAI_API_PARAMS == {"quality": "high"}
    assert config.access == ServerAccess("azure-eu", "api-key", "azure")
