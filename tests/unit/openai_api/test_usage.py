"""Token counts in the format of the OpenAI API, from the counts that an engine reports."""

from typing import Any

import pytest
from openai.types.images_response import Usage as OpenAIUsage

from image_gateway.openai_api.usage import complete_usage


def completed(reported: dict[str, Any] | None, *, edit: bool = False) -> dict[str, Any] | None:
    result = complete_usage(reported, edit=edit)
    return result.model_dump(exclude_none=True) if result else None


def usage(input_tokens: int, output_tokens: int, total: int, text: int, image: int, **more: Any) -> dict[str, Any]:
    details = {"text_tokens": text, "image_tokens": image}
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
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
def test_missing_counts_are_calculated_from_the_others(reported: dict[str, Any], expected: dict[str, Any]) -> None:
    """A count that cannot be calculated is 0. The result is valid for the SDK's own type, which requires all counts."""
    assert completed(reported) == expected
    assert OpenAIUsage.model_validate(completed(reported), strict=True)


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
def test_the_text_and_image_tokens_of_an_edit(details: Any, text: int, image: int) -> None:
    """If the engine does not report the image tokens, both counts are 0."""
    reported = {"input_tokens": 10, "output_tokens": 20, "input_tokens_details": details}

    assert completed(reported, edit=True) == usage(10, 20, 30, text, image)


def test_output_details_are_returned_if_the_engine_reports_them() -> None:
    """The details are optional in the API, so they are not calculated."""
    reported = {"input_tokens": 1, "output_tokens": 20, "output_tokens_details": {"image_tokens": 19}}

    assert completed(reported) == usage(1, 20, 21, 1, 0, output_tokens_details={"text_tokens": 1, "image_tokens": 19})


@pytest.mark.parametrize("reported", [None, {}, {"cost": 1}, {"total_tokens": "many"}, {"input_tokens": None}])
def test_an_engine_without_counts_has_no_usage(reported: dict[str, Any] | None) -> None:
    """Zeros would mean that nothing was used."""
    assert completed(reported) is None
