"""Token counts in the OpenAI API's own words, whatever of them an engine tells."""

from typing import Any

import pytest
from openai.types.images_response import Usage as OpenAIUsage

from image_gateway.openai_api.usage import complete_usage


def counted(reported: dict[str, Any] | None, *, edit: bool = False) -> dict[str, Any] | None:
    found = complete_usage(reported, edit=edit)
    return found.model_dump(exclude_none=True) if found else None


def usage(taken: int, given: int, total: int, text: int, image: int, **more: Any) -> dict[str, Any]:
    details = {"text_tokens": text, "image_tokens": image}
    return {
        "input_tokens": taken,
        "output_tokens": given,
        "total_tokens": total,
        "input_tokens_details": details,
        **more,
    }


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (usage(10, 20, 30, 4, 6), usage(10, 20, 30, 4, 6)),
        ({"input_tokens": 7, "output_tokens": 20, "total_tokens": 27}, usage(7, 20, 27, 7, 0)),
        ({"input_tokens": 7, "output_tokens": 20}, usage(7, 20, 27, 7, 0)),
        ({"input_tokens": 7, "total_tokens": 27}, usage(7, 20, 27, 7, 0)),
        ({"output_tokens": 20, "total_tokens": 27}, usage(7, 20, 27, 7, 0)),
        ({"total_tokens": 27}, usage(0, 27, 27, 0, 0)),
        ({"input_tokens": 7.0, "output_tokens": "20", "total_tokens": True}, usage(7, 0, 7, 7, 0)),
        ({"input_tokens": -7, "output_tokens": 20, "total_tokens": float("nan")}, usage(0, 20, 20, 0, 0)),
    ],
)
def test_what_is_not_told_is_worked_out(reported: dict[str, Any], expected: dict[str, Any]) -> None:
    """Of the rest, as far as that goes, and 0 elsewhere: the SDK's own type has all of it."""
    assert counted(reported) == expected
    assert OpenAIUsage.model_validate(counted(reported), strict=True)


@pytest.mark.parametrize(
    ("details", "text", "image"),
    [
        (None, 0, 0),
        ([], 0, 0),
        ({"text_tokens": 4}, 4, 6),
        ({"image_tokens": 6}, 4, 6),
        ({"text_tokens": 40}, 40, 0),
        ({"text_tokens": 4, "image_tokens": 5}, 4, 5),
    ],
)
def test_what_an_edit_is_made_of(details: Any, text: int, image: int) -> None:
    """Nobody knows how much of it is images where the engine does not say."""
    reported = {"input_tokens": 10, "output_tokens": 20, "input_tokens_details": details}

    assert counted(reported, edit=True) == usage(10, 20, 30, text, image)


def test_what_came_out_is_told_where_the_engine_does() -> None:
    """The API need not have it, so nothing is made up."""
    reported = {"input_tokens": 1, "output_tokens": 20, "output_tokens_details": {"image_tokens": 19}}

    assert counted(reported) == usage(1, 20, 21, 1, 0, output_tokens_details={"text_tokens": 1, "image_tokens": 19})


@pytest.mark.parametrize("reported", [None, {}, {"cost": 1}, {"total_tokens": "many"}, {"input_tokens": None}])
def test_without_a_count_there_is_none(reported: dict[str, Any] | None) -> None:
    """Zeros would say that nothing was used."""
    assert counted(reported) is None
