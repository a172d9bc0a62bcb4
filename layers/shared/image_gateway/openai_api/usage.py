"""Token counts in the format of the OpenAI Images API, completed from the counts that engines report.

The API's clients expect every count to be present (SDK types of `openai` 3.54), whereas engines leave some of them out.
"""

from collections.abc import Mapping
from typing import Any

from image_gateway.models.openai import InputTokens, Usage


def complete_usage(reported: Mapping[str, Any] | None, *, edit: bool) -> Usage | None:
    """Complete the counts of an engine. A missing count is calculated from the others, or is 0.

    Args:
        reported: the engine's counts, under OpenAI's names.
        edit: whether there were input images. The input of a generation is only text.

    Returns:
        None if the engine reports no count at all.
    """
    input_tokens, output_tokens, total = (
        _count(reported, name) for name in ("input_tokens", "output_tokens", "total_tokens")
    )
    if input_tokens is None and output_tokens is None and total is None:
        return None
    if input_tokens is None:
        input_tokens = _rest(total, output_tokens)
    if output_tokens is None:
        output_tokens = _rest(total, input_tokens)
    reported = reported or {}
    details = _details(reported.get("input_tokens_details"), input_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens if total is None else total,
        input_tokens_details=details or InputTokens(text_tokens=0 if edit else input_tokens, image_tokens=0),
        output_tokens_details=_details(reported.get("output_tokens_details"), output_tokens),
    )


def _details(details: Any, total: int) -> InputTokens | None:
    """Complete the text and image counts that make up `total`; None if the engine reports neither."""
    text, image = (_count(details, name) for name in ("text_tokens", "image_tokens"))
    if text is None and image is None:
        return None
    return InputTokens(
        text_tokens=_rest(total, image) if text is None else text,
        image_tokens=_rest(total, text) if image is None else image,
    )


def _rest(whole: int | None, part: int | None) -> int:
    """Return the difference, or 0 if one of the two is unknown."""
    return 0 if whole is None or part is None else max(0, whole - part)


def _count(reported: Any, name: str) -> int | None:
    value = reported.get(name) if isinstance(reported, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN fails both comparisons.
    return int(value) if 0 <= value < 2**63 else None
