"""The fields of a generation request."""

from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.models.forms import CreateImageForm
from image_gateway.models.openai import ImageGenerateParams


def error_message(**fields: Any) -> str:
    """Validate invalid fields, and return the message of the error."""
    with pytest.raises(ValidationError) as caught:
        CreateImageForm.model_validate({"prompt": "a fox", **fields})
    return str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": " \n"},
        {"prompt": "x" * 32_001},
        {"prompt": "\x01" * 24_000},
        {"negative_prompt": "\x01" * 24_000},
        {"prompt": None},
        {"prompt": ["a"]},
        {"n": 0},
        {"n": 11},
        {"n": "many"},
        {"n": None},
        {"steps": -1},
        {"seed": -2},
        {"seed": True},
        {"seed": 2**64},
        {"size": "big"},
        {"size": 512},
        {"model": "m" * 300},
    ],
)
def test_an_invalid_value_is_refused_with_the_name_of_its_field(fields: dict[str, Any]) -> None:
    """The error names the field with the invalid value."""
    assert next(iter(fields)) in error_message(**fields)


def test_a_prompt_may_be_32000_characters_long() -> None:
    """The longest prompt is valid."""
    assert len(CreateImageForm(prompt="x" * 32_000).prompt) == 32_000


def test_null_counts_as_absent() -> None:
    """A field that is sent as null is not among the requested fields."""
    form = CreateImageForm.model_validate({"prompt": "a fox", "size": None, "seed": 0})

    assert form.requested() == {"prompt": "a fox", "seed": 0}


def test_unknown_fields_are_ignored_and_named() -> None:
    """A form with unknown fields is valid, so that clients of a later version work, and it lists their names."""
    form = CreateImageForm.model_validate({"prompt": "a fox", "zoom": 2, "audio": "x"})

    assert form.unknown_fields() == ["audio", "zoom"]


@pytest.mark.parametrize("character", ["x", "🦊", "\n", '"'])
def test_a_prompt_of_usual_characters_may_be_as_long_as_in_the_openai_api(character: str) -> None:
    """Only control characters, which take six bytes in a job's record, make it shorter."""
    text = "x" + character * 31_999

    assert CreateImageForm(prompt=text, negative_prompt=text).prompt == text


@pytest.mark.parametrize("seed", [-1, "-1"], ids=["number", "text"])
@pytest.mark.parametrize("form", [CreateImageForm, ImageGenerateParams])
def test_the_seed_minus_one_is_random(form: type[CreateImageForm], seed: int | str) -> None:
    """Clients of AUTOMATIC1111 ask for a random seed with it, which is the same as none."""
    assert form.model_validate({"prompt": "a fox", "seed": seed}).requested() == {"prompt": "a fox"}


@pytest.mark.parametrize(("name", "known"), [("jpg", "jpeg"), (" JPG", "jpeg"), ("PNG", "png"), ("webp", "webp")])
@pytest.mark.parametrize("form", [CreateImageForm, ImageGenerateParams])
def test_a_format_may_have_another_spelling(form: type[CreateImageForm], name: str, known: str) -> None:
    """A file name may end in jpg; the format is jpeg."""
    assert form.model_validate({"prompt": "a fox", "output_format": name}).output_format == known
