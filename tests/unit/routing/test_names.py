"""Names of models in requests, and where they lead."""

from typing import Any

import pytest

from image_gateway.config.servers import configured_server
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination
from image_gateway.routing.names import destination_of_job, find_destination

TWO_ENGINES = {
    "IMAGE_GENERATION_ENGINE": "openai",
    "IMAGE_GENERATION_MODEL": "gpt-image-2",
    "IMAGES_OPENAI_API_BASE_URL": "https://litellm.example/v1",
    "IMAGES_OPENAI_API_KEY": "key",
    "COMFYUI_BASE_URL": "http://comfy.example:8188",
}
OFFICIAL_GEMINI = "https://generativelanguage.googleapis.com/v1beta"


Chosen = tuple[str, str | None, bool]
"""An engine, a model, and whether the request named them."""


def chosen(destination: Destination) -> Chosen:
    return destination.engine, destination.model, destination.named


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (None, ("openai", "gpt-image-2", False)),
        ("", ("openai", "gpt-image-2", False)),
        ("flux", ("openai", "flux", False)),
        ("comfyui/flux-dev", ("comfyui", "flux-dev", True)),
        ("comfyui/models/flux.safetensors", ("comfyui", "models/flux.safetensors", True)),
        ("comfyui/", ("comfyui", None, True)),
        ("comfyui", ("openai", "comfyui", False)),
        ("openai/gpt-image-2", ("openai", "gpt-image-2", True)),
        ("openai/openai/gpt-image-2", ("openai", "openai/gpt-image-2", True)),
        ("black-forest-labs/flux", ("openai", "black-forest-labs/flux", False)),
        ("gemini/gemini-3-pro-image", ("openai", "gemini/gemini-3-pro-image", False)),
        ("ComfyUI/flux-dev", ("openai", "ComfyUI/flux-dev", False)),
    ],
)
def test_a_model_can_have_the_prefix_of_a_configured_engine(model: str | None, expected: Chosen) -> None:
    """Any other name is a model of the engine that is configured for generation."""
    config = ImagesConfig(**TWO_ENGINES)

    assert chosen(find_destination(config, model, edit=False, allow_engine_prefix=True)) == expected


@pytest.mark.parametrize("prefix", ["openai", "openai-edit"])
def test_an_edit_can_name_the_connection_for_edits(prefix: str) -> None:
    """It is the same one as the engine's name means. A generation cannot go there."""
    config = ImagesConfig(**TWO_ENGINES, IMAGE_EDIT_ENGINE="comfyui", IMAGES_EDIT_OPENAI_API_KEY="key")

    edit = find_destination(config, f"{prefix}/gpt-image-2", edit=True, allow_engine_prefix=True)

    assert (edit.connection, edit.model) == ("openai-edit", "gpt-image-2")
    generation = find_destination(config, "openai-edit/gpt-image-2", edit=False, allow_engine_prefix=True)
    assert generation.model == "openai-edit/gpt-image-2"


def test_a_prefix_is_part_of_the_models_name_on_other_channels() -> None:
    """There, names come from the engine's own list."""
    destination = find_destination(ImagesConfig(**TWO_ENGINES), "comfyui/flux-dev", edit=False)

    assert chosen(destination) == ("openai", "comfyui/flux-dev", False)


def test_the_configured_model_is_only_used_with_the_configured_engine() -> None:
    """Another engine uses its own default."""
    config = ImagesConfig(**TWO_ENGINES)

    assert find_destination(config, "comfyui/", edit=False, allow_engine_prefix=True).model is None
    assert find_destination(config, None, edit=False).model == "gpt-image-2"


@pytest.mark.parametrize(
    ("fields", "engine", "edit", "expected"),
    [
        ({}, "openai", False, None),
        ({"IMAGES_OPENAI_API_KEY": "k"}, "openai", False, "https://api.openai.com/v1"),
        ({"IMAGES_OPENAI_API_KEY": "k"}, "openai", True, "https://api.openai.com/v1"),
        ({"IMAGES_OPENAI_API_BASE_URL": "http://own.example"}, "openai", False, "http://own.example"),
        ({"IMAGES_OPENAI_API_BASE_URL": "http://own.example"}, "openai", True, None),
        (
            {"IMAGES_OPENAI_API_BASE_URL": "http://own.example", "IMAGES_EDIT_OPENAI_API_BASE_URL": ""},
            "openai",
            True,
            "http://own.example",
        ),
        ({"IMAGES_EDIT_GEMINI_API_KEY": "k"}, "gemini", True, OFFICIAL_GEMINI),
        ({"IMAGES_EDIT_GEMINI_API_KEY": "k"}, "gemini", False, None),
        ({}, "comfyui", False, None),
        ({"COMFYUI_BASE_URL": "http://c.example"}, "comfyui", False, "http://c.example"),
        ({"COMFYUI_BASE_URL": "http://c.example"}, "comfyui", True, "http://c.example"),
        ({"IMAGES_EDIT_COMFYUI_BASE_URL": "http://e.example"}, "comfyui", True, "http://e.example"),
        ({"IMAGES_EDIT_COMFYUI_BASE_URL": "http://e.example"}, "comfyui", False, None),
        ({"AUTOMATIC1111_BASE_URL": "http://a.example"}, "automatic1111", True, "http://a.example"),
    ],
)
def test_the_server_of_an_engine_that_is_configured(
    fields: dict[str, Any], engine: str, edit: bool, expected: str | None
) -> None:
    """An engine is configured if its URL is set. The default URL, which is the provider's, needs a key too."""
    server = configured_server(ImagesConfig(**fields), engine, edit=edit)

    assert (server.url if server else None) == expected


def test_a_pinned_job_keeps_its_engine_and_model() -> None:
    """A later change of the configuration does not change them."""
    job = Job(id="1", kind="generation", owner="token:1", engine="comfyui", model="flux", pinned=True)

    assert chosen(destination_of_job(job, ImagesConfig(**TWO_ENGINES))) == ("comfyui", "flux", True)


def test_a_job_that_is_not_pinned_follows_the_configuration() -> None:
    """If the operator changes the engine, queued jobs run on the new one."""
    job = Job(id="1", kind="edit", owner="token:1", engine="comfyui", model="flux")
    config = ImagesConfig(IMAGE_EDIT_ENGINE="gemini", IMAGE_EDIT_MODEL="gemini-3-pro-image")

    assert chosen(destination_of_job(job, config)) == ("gemini", "gemini-3-pro-image", False)


def test_a_running_job_stays_on_its_engine() -> None:
    """It may have been paid there, so a change of the configuration does not move it to another one."""
    job = Job(id="1", kind="generation", owner="token:1", engine="comfyui", model="flux", status="running")
    config = ImagesConfig(IMAGE_GENERATION_ENGINE="gemini", IMAGE_GENERATION_MODEL="gemini-3-pro-image")

    assert chosen(destination_of_job(job, config)) == ("comfyui", "flux", True)


def test_a_running_job_takes_the_model_of_the_configuration() -> None:
    """The configured model is that of the configured engine."""
    job = Job(id="1", kind="generation", owner="token:1", engine="gemini", status="running")
    config = ImagesConfig(IMAGE_GENERATION_ENGINE="gemini", IMAGE_GENERATION_MODEL="gemini-3-pro-image")

    assert chosen(destination_of_job(job, config)) == ("gemini", "gemini-3-pro-image", False)


@pytest.mark.parametrize(
    ("alias", "target", "expected"),
    [
        ("dall-e-3", "gpt-image-2", ("openai", "gpt-image-2", False)),
        ("dall-e-3", "comfyui/flux-dev", ("comfyui", "flux-dev", True)),
        ("team/draft", "openai/flux", ("openai", "flux", True)),
        ("a", "b", ("openai", "b", False)),
    ],
)
@pytest.mark.parametrize("prefixes", [True, False])
def test_an_alias_stands_for_a_model_or_an_engine_and_a_model(
    alias: str, target: str, expected: Chosen, *, prefixes: bool
) -> None:
    """On every channel, because the operator chose it. It is resolved once."""
    config = ImagesConfig.model_validate({**TWO_ENGINES, "IMAGE_MODEL_ALIASES": {alias: target, "b": "c"}})

    assert chosen(find_destination(config, alias, edit=False, allow_engine_prefix=prefixes)) == expected


def test_the_configured_model_is_no_alias() -> None:
    """The operator can name the model itself."""
    config = ImagesConfig.model_validate({**TWO_ENGINES, "IMAGE_MODEL_ALIASES": {"gpt-image-2": "flux"}})

    assert chosen(find_destination(config, None, edit=False)) == ("openai", "gpt-image-2", False)
