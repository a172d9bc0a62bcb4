"""Sizes of inputs and outputs: large photos are reduced before an edit, and what a server rounds is noticed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from image_gateway.engines.protocol import InputImage
from image_gateway.models.fields import Size

DEFAULT_MAX_PIXELS = 1_048_576
"""What Stable Diffusion XL is made for. A photo of 12 megapixels runs out of memory on most graphics cards."""

_MULTIPLE = 8
_PNG_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def reduced_size(image: InputImage, max_pixels: int) -> Size | None:
    """Return the size to which an input is reduced: its aspect ratio, and sides that are multiples of 8.

    Args:
        image: the input.
        max_pixels: the most pixels; 0 for any number.

    Returns:
        The size; None if the input is small enough.
    """
    pixels = image.width * image.height
    if not max_pixels or pixels <= max_pixels:
        return None
    scale = math.sqrt(max_pixels / pixels)
    width, height = (max(_MULTIPLE, int(side * scale) // _MULTIPLE * _MULTIPLE) for side in (image.width, image.height))
    return Size(width, height)


def size_warnings(images: Sequence[bytes], body: Mapping[str, Any]) -> list[str]:
    """Return a warning for each size that the server made in place of that of the request's `body`.

    Only of PNG, which servers return by default, is the size read. A second pass in a higher resolution (`enable_hr`)
    makes a larger image on purpose.
    """
    if "width" not in body or "height" not in body or body.get("enable_hr"):
        return []
    requested = f"{body['width']}x{body['height']}"
    made = {str(size): None for data in images if (size := _png_size(data))}
    return [f"automatic1111 made {size} in place of {requested}" for size in made if size != requested]


def _png_size(data: bytes) -> Size | None:
    if not data.startswith(_PNG_HEADER):
        return None
    start = len(_PNG_HEADER)
    return Size(*(int.from_bytes(data[at : at + 4]) for at in (start, start + 4)))
