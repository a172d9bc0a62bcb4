"""Sample images that tests send to edits and compare with what comes back."""

import base64
import io
from typing import Any

from PIL import Image

RED, GREEN, BLUE, GRAY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
SIDE = 64
"""Default width and height of an image, in pixels."""

Color = tuple[int, ...]


def encoded(color: Color = RED, format: str = "PNG", size: tuple[int, int] = (SIDE, SIDE), **options: Any) -> bytes:
    """Return an image of one color; with four numbers the last is alpha."""
    out = io.BytesIO()
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(out, format, **options)
    return out.getvalue()


def text(data: bytes) -> str:
    """Return data as base64."""
    return base64.b64encode(data).decode()


def data_url(data: bytes) -> str:
    """Return data as a data URL."""
    return f"data:image/png;base64,{text(data)}"


def right_half(size: tuple[int, int] = (SIDE, SIDE)) -> str:
    """Return a mask in base64 whose right half is transparent, which is the part to be edited."""
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (size[0] // 2, 0, *size))
    out = io.BytesIO()
    mask.save(out, "PNG")
    return text(out.getvalue())


def opened(data: bytes | str) -> Image.Image:
    """Return the decoded image of a file, or of a file in base64."""
    return Image.open(io.BytesIO(base64.b64decode(data) if isinstance(data, str) else data))


def colors(image: Image.Image, box: tuple[int, int, int, int]) -> set[Any]:
    """Return the colors within a box of an image."""
    return {color for _count, color in image.convert("RGB").crop(box).getcolors(10_000_000) or ()}
