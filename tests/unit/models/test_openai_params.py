"""The OpenAI channel's parameters, compared with the types of OpenAI's SDK, so that new parameters are noticed."""

from typing import Any, get_args, get_type_hints

import pytest
from openai.types import image_edit_params, image_generate_params
from pydantic import ValidationError

from image_gateway.models.openai import ImageEditParams, ImageGenerateParams

Params = ImageGenerateParams | ImageEditParams

ADDITIONS: dict[type[Params], set[str]] = {
    ImageGenerateParams: {"seed", "negative_prompt", "steps", "aspect_ratio"},
    ImageEditParams: {"seed", "negative_prompt", "steps", "aspect_ratio", "moderation"},
}
"""Parameters of the gateway that OpenAI's type does not have. OpenAI has `moderation` only for generations."""

IGNORED = {
    "partial_images": "is only for streams",
    "svg": "is only for the format svg, which is refused",
}
"""OpenAI's parameters that are ignored with a warning, because they have no effect in the gateway."""

REFUSED: dict[str, tuple[Any, ...]] = {"output_format": ("svg",), "stream": (True,)}
"""Values of OpenAI's parameters that are refused."""

REQUIRED: dict[str, Any] = {"prompt": "a fox", "image": "aGk="}
MODELS: tuple[tuple[type[Params], tuple[type, ...]], ...] = (
    (
        ImageGenerateParams,
        (image_generate_params.ImageGenerateParamsNonStreaming, image_generate_params.ImageGenerateParamsStreaming),
    ),
    (
        ImageEditParams,
        (image_edit_params.ImageEditParamsNonStreaming, image_edit_params.ImageEditParamsStreaming),
    ),
)
each_model = pytest.mark.parametrize(("ours", "theirs"), MODELS, ids=["generate", "edit"])


def parameters(theirs: tuple[type, ...]) -> dict[str, set[Any]]:
    """Return OpenAI's parameters, each with the literal values of its type."""
    values: dict[str, set[Any]] = {}
    for parameter_type in theirs:
        for name, hint in get_type_hints(parameter_type).items():
            values.setdefault(name, set()).update(literal_values(hint))
    return values


def literal_values(hint: Any) -> set[Any]:
    """Return the literal values in a type."""
    if isinstance(hint, str | int):
        return {hint}
    return {value for inner in get_args(hint) for value in literal_values(inner)}


@each_model
def test_the_fields_are_openais_parameters(ours: type[Params], theirs: tuple[type, ...]) -> None:
    """The fields are OpenAI's parameters, without the ignored ones and with the gateway's additions."""
    assert set(ours.model_fields) - ADDITIONS[ours] == set(parameters(theirs)) - set(IGNORED)


@each_model
def test_every_value_of_openais_parameters_is_accepted(ours: type[Params], theirs: tuple[type, ...]) -> None:
    """Only values that would be charged for another result than the requested one are refused."""
    for name, values in parameters(theirs).items():
        for value in values - set(REFUSED.get(name, ())):
            assert ours.model_validate({**REQUIRED, name: value})
        for value in REFUSED.get(name, ()):
            with pytest.raises(ValidationError, match="not available here"):
                ours.model_validate({**REQUIRED, name: value})


def test_markup_is_refused() -> None:
    """Markup changes the result of an edit, so it is refused, and not ignored."""
    with pytest.raises(ValidationError, match="not available here") as caught:
        ImageEditParams.model_validate({**REQUIRED, "markup": "data:;base64,aGk="})

    assert caught.value.errors()[0]["loc"] == ("markup",)
