"""Values of DALL·E that clients still send: `quality` standard and hd, and its sizes.

They are translated only after the server has refused them, because some servers still take them. A refusal is free.
"""

import math
import re
from typing import Any

from image_gateway.errors import EngineRejected
from image_gateway.models.fields import Size

_QUALITIES = {"standard": "medium", "hd": "high"}
_SIZES = ("256x256", "512x512", "1792x1024", "1024x1792")
_PIXELS = re.compile(r"\b[0-9]{2,5}x[0-9]{2,5}\b")


def translated(error: EngineRejected, body: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Return the body with what the server takes instead of a refused value of DALL·E, and a warning that says so.

    Sizes go to the nearest that the refusal names. Returns None if the refusal is about something else.
    """
    quality, size = body.get("quality"), body.get("size")
    if quality in _QUALITIES and _is_about(error, "quality"):
        value = _QUALITIES[quality]
        return {**body, "quality": value}, f"quality {quality} is not supported by this model: {value} was requested"
    if size in _SIZES and _is_about(error, "size"):
        sizes = {text: Size.parse(text) for text in _PIXELS.findall(error.detail) if text != size}
        wanted = Size.parse(size)
        named = {text: other for text, other in sizes.items() if other}
        if wanted and named:
            value = min(named, key=lambda text: _distance(named[text], wanted))
            return {**body, "size": value}, f"size {size} is not supported by this model: {value} was requested"
    return None


def _is_about(error: EngineRejected, name: str) -> bool:
    return error.param == name or (error.param is None and bool(re.search(rf"\b{name}\b", error.detail, re.IGNORECASE)))


def _distance(left: Size, right: Size) -> tuple[float, float]:
    """Return how different two sizes are: in their aspect ratio to one decimal place, then in their area."""
    shape = abs(math.log(left.width * right.height / (left.height * right.width)))
    return round(shape, 1), abs(math.log(left.width * left.height / (right.width * right.height)))
