"""Values that a model refuses and that can be replaced: the words of DALL·E, and sizes that were only approximate.

Clients still send `quality` standard and hd, and DALL·E's sizes. The pixels of an aspect ratio or a size class are the
gateway's own calculation, and models such as gpt-image-1.5 take only some sizes. All of them are replaced only after
the server has refused them, because others take them. A refusal is free.
"""

import math
import re
from typing import Any

from image_gateway.errors import EngineRejected
from image_gateway.models.fields import Size
from image_gateway.models.sizes import has_proportion

_QUALITIES = {"standard": "medium", "hd": "high"}
_DALLE_SIZES = ("256x256", "512x512", "1792x1024", "1024x1792")
_USUAL_SIZES = ("1024x1024", "1536x1024", "1024x1536")
"""The sizes that all of OpenAI's models take, for servers whose refusal names none."""

_PIXELS = re.compile(r"\b([0-9]{2,5}) ?[x\u00d7*] ?([0-9]{2,5})\b", re.IGNORECASE)
_SIZE_WORDS = re.compile(r"\b(?:size|dimensions?|resolution|width|height|aspect ratio|pixels?)s?\b", re.IGNORECASE)


def replaced_quality(error: EngineRejected, body: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Return the body with what the model takes instead of a refused quality of DALL·E, and a warning that says so.

    Returns None if the refusal is about something else.
    """
    quality = body.get("quality")
    if quality not in _QUALITIES or not _is_about(error, "quality", re.compile(r"\bquality\b", re.IGNORECASE)):
        return None
    value = _QUALITIES[quality]
    return {**body, "quality": value}, f"quality {quality} is not supported by this model: {value} was requested"


def is_replaceable(size: Any, *, approximate: bool) -> bool:
    """Return whether another size may be requested if the model refuses this one."""
    return isinstance(size, str) and "x" in size and (approximate or size in _DALLE_SIZES)


def replaced_size(
    error: EngineRejected, body: dict[str, Any], aspect_ratio: str | None
) -> tuple[dict[str, Any], list[str]] | None:
    """Return the body with the nearest size that the model takes, and a warning unless that is what was requested.

    The sizes are those that the refusal names, else the usual ones. Returns None if the refusal is about something
    else.

    Args:
        error: the refusal.
        body: the refused body, whose size is replaceable.
        aspect_ratio: the ratio that was requested instead of pixels, if one was.
    """
    size: str = body["size"]
    wanted = Size.parse(size)
    if wanted is None or not _is_about(error, "size", _SIZE_WORDS):
        return None
    others = named_sizes(error.detail, size) or [other for other in _USUAL_SIZES if other != size]
    named = {text: other for text in others if (other := Size.parse(text))}
    value = min(named, key=lambda text: _distance(named[text], wanted))
    is_exact = aspect_ratio is not None and has_proportion(named[value], aspect_ratio)
    warning = f"size {aspect_ratio or size} is not supported by this model: {value} was requested"
    return {**body, "size": value}, [] if is_exact else [warning]


def named_sizes(detail: str, refused: Any) -> list[str]:
    """Return the sizes that a refusal names beside the refused one, as `WIDTHxHEIGHT`."""
    sizes = dict.fromkeys(f"{int(width)}x{int(height)}" for width, height in _PIXELS.findall(detail))
    return [size for size in sizes if size != refused and not size.startswith("0x") and not size.endswith("x0")]


def _is_about(error: EngineRejected, name: str, words: re.Pattern[str]) -> bool:
    return error.param == name or (error.param is None and bool(words.search(error.detail)))


def _distance(left: Size, right: Size) -> tuple[float, float]:
    """Return how different two sizes are: in their aspect ratio to one decimal place, then in their area."""
    shape = abs(math.log(left.width * right.height / (left.height * right.width)))
    return round(shape, 1), abs(math.log(left.width * left.height / (right.width * right.height)))
