"""What a generation request may hold."""

from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.models.forms import CreateImageForm


def refused(**fields: Any) -> str:
    """The message with which the form refuses `fields`."""
    with pytest.raises(ValidationError) as caught:
        CreateImageForm.model_validate({"prompt": "a fox", **fields})
    return str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": " \n"},
        {"prompt": "x" * 32_001},
        {"prompt": None},
        {"prompt": ["a"]},
        {"n": 0},
        {"n": 11},
        {"n": "many"},
        {"n": None},
        {"steps": -1},
        {"seed": -1},
        {"seed": 2**64},
        {"size": "big"},
        {"size": 512},
        {"model": "m" * 300},
    ],
)
def test_a_bad_value_is_refused_by_its_field(fields: dict[str, Any]) -> None:
    """The error names the field."""
    assert next(iter(fields)) in refused(**fields)


def test_a_prompt_may_be_32000_characters_long() -> None:
    """The bound itself is within."""
    assert len(CreateImageForm(prompt="x" * 32_000).prompt) == 32_000


def test_nulls_are_as_good_as_nothing() -> None:
    """A field sent as null was not asked for."""
    form = CreateImageForm.model_validate({"prompt": "a fox", "size": None, "seed": 0})

    assert form.requested() == {"prompt": "a fox", "seed": 0}


def test_unknown_fields_are_named_and_otherwise_ignored() -> None:
    """A client of a later version is served, and told."""
    form = CreateImageForm.model_validate({"prompt": "a fox", "zoom": 2, "audio": "x"})

    assert form.unknown_fields() == ["audio", "zoom"]
