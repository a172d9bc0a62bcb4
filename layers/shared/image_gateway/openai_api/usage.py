"""Token counts in the words of the OpenAI Images API, of what engines tell.

That API's clients expect every count to be there (SDK types of `openai` 3.54), while engines leave some of them out.
"""

from collections.abc import Mapping
from typing import Any

from image_gateway.models.openai import InputTokens, Usage


def complete_usage(reported: Mapping[str, Any] | None, *, edit: bool) -> Usage | None:
    """What an engine tells, completed: a count that is missing is worked out from the others, or is 0.

    Args:
        reported: the engine's counts, under OpenAI's names.
        edit: whether images went in. Into a generation only text does.

    Returns:
        None where the engine tells no count at all.
    """
    taken, given, total = (_count(reported, name) for name in ("input_tokens", "output_tokens", "total_tokens"))
    if taken is None and given is None and total is None:
        return None
    if taken is None:
        taken = _rest(total, given)
    if given is None:
        given = _rest(total, taken)
    reported = reported or {}
    details = _split(reported.get("input_tokens_details"), taken)
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        total_tokens=taken + given if total is None else total,
        input_tokens_details=details or InputTokens(text_tokens=0 if edit else taken, image_tokens=0),
        output_tokens_details=_split(reported.get("output_tokens_details"), given),
    )


def _split(details: Any, of: int) -> InputTokens | None:
    text, image = (_count(details, name) for name in ("text_tokens", "image_tokens"))
    if text is None and image is None:
        return None
    return InputTokens(
        text_tokens=_rest(of, image) if text is None else text,
        image_tokens=_rest(of, text) if image is None else image,
    )


def _rest(whole: int | None, part: int | None) -> int:
    """What is left of the whole, if both are known."""
    return 0 if whole is None or part is None else max(0, whole - part)


def _count(reported: Any, name: str) -> int | None:
    value = reported.get(name) if isinstance(reported, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Neither holds for NaN.
    return int(value) if 0 <= value < 2**63 else None
