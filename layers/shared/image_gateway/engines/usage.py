"""Token counts of engines, under the names of the OpenAI Images API (SDK types of `openai` 3.54)."""

from collections.abc import Mapping
from typing import Any

_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_DETAILS = ("input_tokens_details", "output_tokens_details")
_DETAIL_COUNTS = ("text_tokens", "image_tokens", "cached_tokens")
_CACHED_DETAILS = "cached_tokens_details"
"""Which of the `cached_tokens` are text, and which images."""
_MAX_COUNT = 2**53
"""Above this, JSON's numbers are not exact everywhere."""

TokenCounts = dict[str, Any]
"""Counts by their names. The values of `input_tokens_details` and `output_tokens_details` are such objects too."""


def token_counts(reported: Any) -> TokenCounts | None:
    """Return the known counts of what an engine reports as its usage, as whole numbers; None if there are none.

    Anything else that an engine may send there is left out: it would be kept in the job's record, which is small.
    """
    counts: TokenCounts = _known_counts(reported, _COUNTS)
    for name in _DETAILS:
        found = reported.get(name) if isinstance(reported, Mapping) else None
        details: TokenCounts = _known_counts(found, _DETAIL_COUNTS)
        if isinstance(found, Mapping) and (cached := _known_counts(found.get(_CACHED_DETAILS), _DETAIL_COUNTS)):
            details[_CACHED_DETAILS] = cached
        if details:
            counts[name] = details
    return counts or None


def text_counts(counts: TokenCounts) -> TokenCounts:
    """Return the counts of a language model with the detail that its output is text."""
    if "output_tokens" not in counts:
        return counts
    return {**counts, "output_tokens_details": {"text_tokens": counts["output_tokens"], "image_tokens": 0}}


def add_counts(left: TokenCounts | None, right: TokenCounts | None) -> TokenCounts | None:
    """Add two sets of token counts, number by number."""
    if left is None or right is None:
        return left or right
    total = {**right, **left}
    for name in left.keys() & right.keys():
        both = left[name], right[name]
        total[name] = add_counts(*both) if isinstance(left[name], dict) else sum(both)
    return total


def _known_counts(reported: Any, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(reported, Mapping):
        return {}
    values = {name: reported.get(name) for name in names}
    # NaN fails both comparisons.
    return {
        name: int(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT
    }
