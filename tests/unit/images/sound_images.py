"""What sound images have in common: how each is described, and the pixels that they are made of."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

SIZE = (48, 32)


@dataclass(frozen=True, slots=True)
class SoundImage:
    """A file that every viewer opens.

    Attributes:
        make: returns the file.
        expected: returns its pixels, upright and in sRGB.
        tolerance: the largest difference between the mean values of small areas. Lossy formats have one.
    """

    make: Callable[[], bytes]
    expected: Callable[[], Image.Image]
    tolerance: int = 0


def photo() -> Image.Image:
    """Return an image in which every pixel and every corner is different, so that any error is visible."""
    red = Image.linear_gradient("L").resize(SIZE)
    green = red.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(180)
    blue = Image.linear_gradient("L").rotate(90).resize(SIZE)
    image = Image.merge("RGB", (red, green, blue))
    image.paste((250, 10, 10), (0, 0, 16, 16))
    image.paste((10, 200, 30), (32, 0, 48, 16))
    return image


def gray() -> Image.Image:
    return photo().convert("L")


def with_alpha() -> Image.Image:
    image = photo()
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(SIZE))
    return image


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def difference(image: Image.Image, expected: Image.Image, *, exact: bool) -> int:
    """Return the largest difference of a channel: of single pixels, or of the mean values of areas of 8x8 pixels.

    Colors of completely transparent pixels do not count.
    """
    pair = [item.convert("RGBA") for item in (image, expected)]
    opaque = pair[1].getchannel("A").point(lambda value: 255 if value else 0)
    for item in pair:
        alpha = item.getchannel("A")
        item.paste((0, 0, 0, 0), mask=opaque.point(lambda value: 255 - value))
        item.putalpha(alpha)
    if not exact:
        pair = [item.resize((item.width // 8, item.height // 8), Image.Resampling.BOX) for item in pair]
    return max(abs(a - b) for a, b in zip(pair[0].tobytes(), pair[1].tobytes(), strict=True))
