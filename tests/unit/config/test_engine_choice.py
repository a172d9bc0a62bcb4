"""Which engine and model a request gets."""

from typing import Any

import pytest

from image_gateway.config.engine_choice import EngineChoice, choice_for_job, choose_engine, engine_for_job, server_url
from image_gateway.models.config import ImagesConfig
from image_gateway.models.jobs import Job

BOTH = {
    "IMAGE_GENERATION_ENGINE": "openai",
    "IMAGE_GENERATION_MODEL": "gpt-image-2",
    "IMAGES_OPENAI_API_BASE_URL": "https://litellm.example/v1",
    "IMAGES_OPENAI_API_KEY": "key",
    "COMFYUI_BASE_URL": "http://comfy.example:8188",
}
OFFICIAL_GEMINI = "https://generativelanguage.googleapis.com/v1beta"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (None, EngineChoice("openai", "gpt-image-2")),
        ("", EngineChoice("openai", "gpt-image-2")),
        ("flux", EngineChoice("openai", "flux")),
        ("comfyui/flux-dev", EngineChoice("comfyui", "flux-dev", named=True)),
        ("comfyui/models/flux.safetensors", EngineChoice("comfyui", "models/flux.safetensors", named=True)),
        ("comfyui/", EngineChoice("comfyui", None, named=True)),
        ("comfyui", EngineChoice("openai", "comfyui")),
        ("openai/gpt-image-2", EngineChoice("openai", "gpt-image-2", named=True)),
        ("openai/openai/gpt-image-2", EngineChoice("openai", "openai/gpt-image-2", named=True)),
        ("black-forest-labs/flux", EngineChoice("openai", "black-forest-labs/flux")),
        ("gemini/gemini-3-pro-image", EngineChoice("openai", "gemini/gemini-3-pro-image")),
        ("ComfyUI/flux-dev", EngineChoice("openai", "ComfyUI/flux-dev")),
    ],
)
def test_a_model_may_name_an_engine(model: str | None, expected: EngineChoice) -> None:
    """`engine/model` goes to an engine that is configured; any other name is one of the configured engine's."""
    assert choose_engine(ImagesConfig(**BOTH), model, edit=False, allow_engine_prefix=True) == expected


def test_other_channels_take_names_as_they_are() -> None:
    """Where names come from the engine's own list, a slash is part of the name."""
    chosen = choose_engine(ImagesConfig(**BOTH), "comfyui/flux-dev", edit=False)

    assert chosen == EngineChoice("openai", "comfyui/flux-dev")


def test_an_engine_gets_no_other_engine_s_default_model() -> None:
    """The configured model belongs to the configured engine."""
    config = ImagesConfig(**BOTH)

    assert choose_engine(config, "comfyui/", edit=False, allow_engine_prefix=True).model is None
    assert choose_engine(config, None, edit=False).model == "gpt-image-2"


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
def test_what_is_configured(fields: dict[str, Any], engine: str, edit: bool, expected: str | None) -> None:
    """An engine is configured by its URL; a provider's own, which is the default, needs the key too."""
    assert server_url(ImagesConfig(**fields), engine, edit=edit) == expected


def test_a_pinned_job_stays_where_it_was_allowed() -> None:
    """Whatever the configuration says by the time it is done."""
    job = Job(id="1", kind="generation", owner="token:1", engine="comfyui", model="flux", pinned=True)

    assert engine_for_job(job, ImagesConfig(**BOTH)) == "comfyui"
    assert choice_for_job(job, "comfyui/other", ImagesConfig(**BOTH)) == EngineChoice("comfyui", "flux", named=True)


def test_any_other_job_goes_where_the_configuration_says() -> None:
    """An operator who changes over takes along what waits."""
    job = Job(id="1", kind="edit", owner="token:1", engine="comfyui", model="flux")
    config = ImagesConfig(IMAGE_EDIT_ENGINE="gemini", IMAGE_EDIT_MODEL="gemini-3-pro-image")

    assert engine_for_job(job, config) == "gemini"
    assert choice_for_job(job, None, config) == EngineChoice("gemini", "gemini-3-pro-image")
