"""The OpenAI channel's parameters beside those of the SDK's own types: a new one is noticed."""

from typing import Any, get_args, get_type_hints

import pytest
from openai.types import image_edit_params, image_generate_params
from pydantic import ValidationError

from image_gateway.models.openai import ImageEditParams, ImageGenerateParams

Params = ImageGenerateParams | ImageEditParams

OURS: dict[type[Params], set[str]] = {
    ImageGenerateParams: {"seed", "negative_prompt", "steps"},
    ImageEditParams: {"seed", "negative_prompt", "steps", "moderation"},
}
"""What engines behind this channel have, and OpenAI has not; it has moderation for generations."""

UNKNOWN = {
    "partial_images": "is for streams only",
    "svg": "is for the format svg only, which is refused",
}
"""Parameters of OpenAI's that are ignored with a warning, since nothing comes of them here."""

REFUSED: dict[str, tuple[Any, ...]] = {"output_format": ("svg",), "stream": (True,)}
"""Values of OpenAI's that a request is turned away for."""

SENT: dict[str, Any] = {"prompt": "a fox", "image": "aGk="}
KINDS: tuple[tuple[type[Params], tuple[type, ...]], ...] = (
    (
        ImageGenerateParams,
        (image_generate_params.ImageGenerateParamsNonStreaming, image_generate_params.ImageGenerateParamsStreaming),
    ),
    (
        ImageEditParams,
        (image_edit_params.ImageEditParamsNonStreaming, image_edit_params.ImageEditParamsStreaming),
    ),
)
each = pytest.mark.parametrize(("ours", "theirs"), KINDS, ids=["generate", "edit"])


def parameters(theirs: tuple[type, ...]) -> dict[str, set[Any]]:
    """OpenAI's parameters, and of each the values that its type lists."""
    found: dict[str, set[Any]] = {}
    for kind in theirs:
        for name, hint in get_type_hints(kind).items():
            found.setdefault(name, set()).update(listed(hint))
    return found


def listed(hint: Any) -> set[Any]:
    """The values that a type allows by name."""
    if isinstance(hint, str | int):
        return {hint}
    return {value for inner in get_args(hint) for value in listed(inner)}


@each
def test_every_parameter_of_openai_s_is_one(ours: type[Params], theirs: tuple[type, ...]) -> None:
    """No more and no fewer, but for those that mean nothing here."""
    assert set(ours.model_fields) - OURS[ours] == set(parameters(theirs)) - set(UNKNOWN)


@each
def test_every_value_of_openai_s_is_taken(ours: type[Params], theirs: tuple[type, ...]) -> None:
    """But for those that would be paid for another result than the one asked for."""
    for name, values in parameters(theirs).items():
        for value in values - set(REFUSED.get(name, ())):
            assert ours.model_validate({**SENT, name: value})
        for value in REFUSED.get(name, ()):
            with pytest.raises(ValidationError, match="not available here"):
                ours.model_validate({**SENT, name: value})


def test_markup_is_refused() -> None:
    """It guides an edit: without it the result would be another one."""
    with pytest.raises(ValidationError, match="not available here") as caught:
        ImageEditParams.model_validate({**SENT, "markup": "data:;base64,aGk="})

    assert caught.value.errors()[0]["loc"] == ("markup",)
