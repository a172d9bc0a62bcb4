"""The sizes of Gemini and Imagen: an aspect ratio and a size class, not pixels.

Source: Google's page on image generation. The pixels are those of gemini-3-pro-image, and of the four
extreme ratios those of gemini-3.1-flash-image; other models differ slightly.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from image_gateway.models.fields import Size

PIXELS_AT_1K: dict[str, Size] = {
    "1:1": Size(1024, 1024),
    "2:3": Size(848, 1264),
    "3:2": Size(1264, 848),
    "3:4": Size(896, 1200),
    "4:3": Size(1200, 896),
    "4:5": Size(928, 1152),
    "5:4": Size(1152, 928),
    "9:16": Size(768, 1376),
    "16:9": Size(1376, 768),
    "21:9": Size(1584, 672),
    "1:4": Size(512, 2048),
    "4:1": Size(2048, 512),
    "1:8": Size(384, 3072),
    "8:1": Size(3072, 384),
}
"""Aspect ratio → width and height of a 1K image; images of other classes have multiples of its sides."""

SCALES = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}
"""Size class → factor from the sides of a 1K image."""

IMAGEN_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
IMAGEN_SCALES = ("1K", "2K")


@dataclass(frozen=True, slots=True)
class NearestSize:
    """A size that the engine supports: aspect ratio, size class and the approximate size in pixels."""

    aspect_ratio: str
    image_size: str
    pixels: Size


def nearest_size(wanted: Size, ratios: Iterable[str], scales: Iterable[str]) -> NearestSize:
    """Return the aspect ratio nearest to that of `wanted`, in the size class nearest to its area."""
    ratio = min(ratios, key=lambda name: _distance(_proportion(name), wanted.width / wanted.height))
    base = PIXELS_AT_1K[ratio]
    growth = math.sqrt(wanted.width * wanted.height / (base.width * base.height))
    scale = min(scales, key=lambda name: _distance(SCALES[name], growth))
    return NearestSize(ratio, scale, Size(int(base.width * SCALES[scale]), int(base.height * SCALES[scale])))


def _proportion(ratio: str) -> float:
    width, height = ratio.split(":")
    return int(width) / int(height)


def _distance(left: float, right: float) -> float:
    return abs(math.log(left / right))
