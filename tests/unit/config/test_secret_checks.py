"""Warnings about keys that are too short to be removed from error texts."""

from typing import Any

import pytest

from image_gateway.config.secret_checks import secret_warnings
from image_gateway.models.config import MASK, ImagesConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("IMAGES_OPENAI_API_KEY", "EMPTY"),
        ("COMFYUI_API_KEY", "1234"),
        ("AUTOMATIC1111_API_AUTH", "admin:secret"),
        ("AUTOMATIC1111_API_AUTH", {"username": "admin", "password": "secret"}),
    ],
)
def test_a_plain_key_gets_a_warning(field: str, value: Any) -> None:
    """It is in error texts of the engine if the engine repeats it."""
    warning = f"{field} is short and plain, so it is not removed from error texts of the engine"

    assert secret_warnings(ImagesConfig.model_validate({field: value})) == [warning]


@pytest.mark.parametrize(
    "fields",
    [
        {"IMAGES_OPENAI_API_KEY": "sk-1"},
        {"IMAGES_OPENAI_API_KEY": "abcdefgh"},
        {"IMAGES_OPENAI_API_KEY": MASK, "AUTOMATIC1111_API_AUTH": MASK},
        {"IMAGES_OPENAI_API_KEY": "", "AUTOMATIC1111_API_AUTH": None},
        {"IMAGE_STEPS": 4},
    ],
)
def test_other_updates_get_none(fields: dict[str, Any]) -> None:
    """Other keys are removed, and a key that is sent back masked does not change."""
    assert secret_warnings(ImagesConfig.model_validate(fields)) == []
