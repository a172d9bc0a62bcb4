"""The operator's parameters, unsupported fields, and the registry of engines."""

from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.engines import create_engine, create_prompt_writer
from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest, InputImage, overlay, unsupported_warnings
from image_gateway.errors import EngineUnavailable
from image_gateway.models.config import ImagesConfig


def request(*requested: str) -> ImageRequest:
    return ImageRequest(job_id="job", prompt="a fox", requested=frozenset(requested))


@pytest.mark.parametrize(
    ("params", "body", "warnings"),
    [
        (None, {"n": 1}, []),
        ({"n": 1}, {"n": 1}, []),
        ({"n": 2}, {"n": 2}, ["n was set to 2 by the operator's parameters"]),
        ({"quality": "low"}, {"n": 1, "quality": "low"}, []),
        ({"n": None}, {}, ["n was left out by the operator's parameters"]),
        ({"quality": None}, {"n": 1}, []),
    ],
)
def test_parameters_override_fields_with_a_warning(
    params: dict[str, Any] | None, body: dict[str, Any], warnings: list[str]
) -> None:
    """A warning is given only if the caller's field changes."""
    fields: dict[str, Any] = {"n": 1}

    warnings_given = overlay(fields, params, request("n"), {})

    assert (fields, warnings_given) == (body, warnings)


def test_a_warning_names_the_callers_field() -> None:
    """The engine's name of the field may differ."""
    warnings_given = overlay({"batch_size": 1}, {"batch_size": 4}, request("n"), {"batch_size": "n"})

    assert warnings_given == ["n was set to 4 by the operator's parameters"]


def test_unsupported_fields_are_named_only_if_the_caller_set_them() -> None:
    """Other fields have no warning."""
    assert unsupported_warnings(request("seed"), "engine", "steps", "seed") == [
        "seed is not supported by engine and was ignored"
    ]


@pytest.mark.parametrize(("kind", "extension"), [("image/png", "png"), ("image/jpeg", "jpg"), ("image/webp", "webp")])
def test_the_extension_of_an_input_image_matches_its_content_type(kind: str, extension: str) -> None:
    """JPEG files end in `jpg`."""
    assert InputImage(b"", kind, 1, 1).extension == extension


@pytest.fixture
def config() -> ImagesConfig:
    return ImagesConfig(IMAGES_OPENAI_API_KEY="k", AUTOMATIC1111_BASE_URL="http://a1111.example")


@pytest.mark.anyio
async def test_an_engine_is_created_by_its_name(connect: Callable[..., Connection], config: ImagesConfig) -> None:
    """No other argument selects it."""
    assert isinstance(create_engine("openai", config, connect()), OpenAIEngine)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "edit", "field"),
    [
        ("openai", False, "IMAGES_OPENAI_API_BASE_URL"),
        ("openai", True, "IMAGES_EDIT_OPENAI_API_BASE_URL"),
        ("automatic1111", True, "AUTOMATIC1111_BASE_URL"),
        ("comfyui", False, "COMFYUI_BASE_URL"),
        ("comfyui", True, "IMAGES_EDIT_COMFYUI_BASE_URL"),
        ("gemini", True, "IMAGES_EDIT_GEMINI_API_BASE_URL"),
    ],
)
async def test_an_unreachable_engine_is_named_by_its_field(
    connect: Callable[..., Connection], name: str, field: str, *, edit: bool
) -> None:
    """The error does not contain the address."""
    config = ImagesConfig.model_validate({field: "http://127.0.0.1:9/private"})

    with pytest.raises(EngineUnavailable) as error:
        await create_engine(name, config, connect(), edit=edit).models()

    assert error.value.detail == f"{name} cannot be reached (connection refused): check {field}"


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["openai", "automatic1111"])
async def test_prompts_are_rewritten_by_an_engine_that_can(
    connect: Callable[..., Connection], config: ImagesConfig, name: str
) -> None:
    """The configured engine is used if it can rewrite prompts, else the openai engine."""
    assert isinstance(create_prompt_writer(name, config, connect()), OpenAIEngine)
