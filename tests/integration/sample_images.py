"""Images that tests of edits send and get back."""

import base64
import io
from typing import Any

from PIL import Image

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
SIDE = 64
"""Width and height of an image where nothing else is said."""

Colour = tuple[int, ...]


def encoded(colour: Colour = RED, format: str = "PNG", size: tuple[int, int] = (SIDE, SIDE), **options: Any) -> bytes:
    """An image of one colour; with four numbers the last is alpha."""
    out = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(out, format, **options)
    return out.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes) -> str:
    return f"data:image/png;base64,{text(data)}"


def right_half(size: tuple[int, int] = (SIDE, SIDE)) -> str:
    """A mask whose right half is transparent: that half is to be edited."""
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (size[0] // 2, 0, *size))
    out = io.BytesIO()
    mask.save(out, "PNG")
    return text(out.getvalue())


def opened(data: bytes | str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data) if isinstance(data, str) else data))


def colours(image: Image.Image, box: tuple[int, int, int, int]) -> set[Any]:
    return {colour for _count, colour in image.convert("RGB").crop(box).getcolors(10_000_000) or ()}
