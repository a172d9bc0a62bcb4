"""The server's data about a run, which comes with its images: seeds, checkpoint, and where the images begin."""

import json
from typing import Any

_MAX_CHARS = 4_000_000
"""Longest text that is parsed. It has the prompt of each image several times."""


def parse_info(info: Any) -> dict[str, Any]:
    """Return the data of a run: a JSON string on most servers, empty or missing on some; empty if it is unusable."""
    if isinstance(info, str):
        try:
            info = json.loads(info) if len(info) <= _MAX_CHARS else None
        except (ValueError, RecursionError):
            return {}
    return info if isinstance(info, dict) else {}


def index_of_first(info: dict[str, Any], returned: int, count: int) -> int:
    """Return the index of the first image: 1 if the server puts a grid of all images before it.

    Args:
        info: the data of the run.
        returned: how many images the server returned.
        count: how many were requested.
    """
    reported = info.get("index_of_first_image")
    if isinstance(reported, int) and 0 <= reported < returned:
        return reported
    return 1 if 1 < count < returned else 0
