"""Sizes as people write them: in pixels, as a size class (`2K`), or as an aspect ratio (`16:9`).

Engines get pixels. Those that know ratios and classes instead find them again from the pixels.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from image_gateway.models.fields import Size

SIZE_CLASSES = {"1K": 1024, "2K": 2048, "4K": 4096}
"""Size class → side in pixels of a square image of this class."""

_STEP = 16
"""Sides are multiples of this: OpenAI's models since gpt-image-2 refuse others, and diffusion models round them."""
_MAX_PROPORTION = 16
_RATIO = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,3})?) ?[:/] ?([0-9]{1,5}(?:\.[0-9]{1,3})?)")
_PIXELS = re.compile(r"([0-9]+) ?[x*\u00d7] ?([0-9]+)(?: ?px)?")
_TOLERANCE = 0.03


def size_text(text: str) -> str:
    """Return a size in its usual form: `1024x1024`, `16:9`, `2K`, `auto` or empty.

    Raises:
        PydanticCustomError: it is none of these, or a side or ratio is out of bounds.
    """
    text = " ".join(text.lower().split())
    if text.upper() in SIZE_CLASSES:
        return text.upper()
    if ":" in text or "/" in text:
        return aspect_ratio_text(text, "invalid_size")
    if pixels := _PIXELS.fullmatch(text):
        text = f"{pixels[1]}x{pixels[2]}"
    try:
        Size.parse(text)
    except ValueError as error:
        raise PydanticCustomError("invalid_size", "{reason}", {"reason": str(error)}) from None
    return text


def aspect_ratio_text(text: str, kind: str = "aspect_ratio") -> str:
    """Return an aspect ratio as `WIDTH:HEIGHT`.

    Raises:
        PydanticCustomError: it has another form, or one side is more than 16 times as long as the other.
    """
    match = _RATIO.fullmatch(" ".join(text.split()))
    if not match or not 1 / _MAX_PROPORTION <= _quotient(match) <= _MAX_PROPORTION:
        raise PydanticCustomError(kind, "must be an aspect ratio from 1:16 to 16:1, for example 16:9")
    return f"{match[1]}:{match[2]}"


def proportion(aspect_ratio: str) -> float:
    """Return width divided by height for `WIDTH:HEIGHT`."""
    match = _RATIO.fullmatch(aspect_ratio)
    if match is None:
        raise ValueError(f"{aspect_ratio!r} is not an aspect ratio")
    return _quotient(match)


def has_proportion(size: Size, aspect_ratio: str) -> bool:
    """Whether a size has an aspect ratio, except for what rounding of its sides changes."""
    return abs(math.log(size.width / size.height / proportion(aspect_ratio))) <= _TOLERANCE


SizeText = Annotated[str, AfterValidator(size_text)]
"""`WIDTHxHEIGHT` in pixels, an aspect ratio, a size class, `auto`, or empty for the engine's default."""

AspectRatioText = Annotated[str, AfterValidator(aspect_ratio_text)]
"""`WIDTH:HEIGHT`."""


@dataclass(frozen=True, slots=True)
class WantedSize:
    """The size that a request wants.

    Attributes:
        size: in pixels; None: the engine's default.
        auto: whether the engine is to choose.
        aspect_ratio: the ratio that was requested instead of pixels; None: none was, or only a class.
        is_approximate: whether the pixels were calculated from a ratio or a class, so that others are as good.
    """

    size: Size | None
    auto: bool = False
    aspect_ratio: str | None = None
    is_approximate: bool = False


def wanted_size(size: str | None, aspect_ratio: str | None, default: str, shape: Size | None) -> WantedSize:
    """Return the size that a request wants.

    Args:
        size: the request's size, in its usual form.
        aspect_ratio: the request's aspect ratio. It does not count beside a size in pixels or another ratio.
        default: the configured size, also in its usual form.
        shape: the size of an edit's first image, which gives the ratio if only a class is requested.
    """
    text = default if size is None else size
    if ":" in text and (size is not None or aspect_ratio is None):
        aspect_ratio = text
    elif size is not None and _is_pixels(text):
        return WantedSize(Size.parse(text))
    if aspect_ratio is None and text not in SIZE_CLASSES:
        return WantedSize(Size.parse(text), auto=text == "auto")
    default_pixels = Size.parse(default) if _is_pixels(default) else None
    area = default_pixels.width * default_pixels.height if default_pixels else SIZE_CLASSES["1K"] ** 2
    if (name := text if text in SIZE_CLASSES else default) in SIZE_CLASSES:
        area = SIZE_CLASSES[name] ** 2
    if aspect_ratio:
        ratio = proportion(aspect_ratio)
    else:
        model = shape or default_pixels or Size(1, 1)
        ratio = min(_MAX_PROPORTION, max(1 / _MAX_PROPORTION, model.width / model.height))
    return WantedSize(_pixels(ratio, area), aspect_ratio=aspect_ratio, is_approximate=True)


def fitting(size: Size, long: int, short: int) -> Size:
    """Return a size of the same aspect ratio whose sides are at most `long` and `short`."""
    factor = min(1.0, long / max(size.width, size.height), short / min(size.width, size.height))
    return size if factor == 1 else Size(*(max(1, int(side * factor / _STEP)) * _STEP for side in _sides(size)))


def _pixels(ratio: float, area: int) -> Size:
    width = math.sqrt(area * ratio)
    return Size(*(max(1, round(side / _STEP)) * _STEP for side in (width, width / ratio)))


def _sides(size: Size) -> tuple[int, int]:
    return size.width, size.height


def _is_pixels(text: str) -> bool:
    return "x" in text


def _quotient(match: re.Match[str]) -> float:
    width, height = float(match[1]), float(match[2])
    return width / height if height else math.inf
