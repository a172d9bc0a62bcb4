"""Paints the images of the sandbox engines: shapes and colors derived from the prompt, with the prompt as text."""

import hashlib
import io
import random
import textwrap
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

NOTICE = "sandbox painter, not a model"
_FASTEST: dict[str, Any] = {"PNG": {"compress_level": 1}, "WEBP": {"method": 0}}
"""Options of Pillow's formats with which an image takes the least time."""
_MAX_KEPT_INPUT_BYTES = 1_000_000


def paint(
    prompt: str,
    width: int,
    height: int,
    *,
    seed: int = 0,
    format: str = "PNG",
    transparent: bool = False,
    inputs: Sequence[bytes] = (),
    mask: bytes | None = None,
) -> bytes:
    """Paint an image. The same arguments always give the same bytes.

    Args:
        prompt: determines colors and shapes, and is written on the image.
        width: in pixels.
        height: in pixels.
        seed: another seed gives another image.
        format: Pillow's name of the file format.
        transparent: makes the background transparent, if the format supports it.
        inputs: encoded input images of an edit. The first becomes the background. A thumbnail of each is shown.
        mask: an encoded image; the first input changes only where the mask's alpha is 0.

    Returns:
        The encoded image.
    """
    options: Any = {"seed": seed, "format": format, "transparent": transparent, "inputs": tuple(inputs), "mask": mask}
    # Tests and demonstrations repeat the same few requests, and an image takes longer than everything else about them.
    small = sum(map(len, (*inputs, mask or b""))) <= _MAX_KEPT_INPUT_BYTES
    return (_paint_once if small else _paint)(prompt, width, height, **options)


def _paint(
    prompt: str,
    width: int,
    height: int,
    *,
    seed: int,
    format: str,
    transparent: bool,
    inputs: tuple[bytes, ...],
    mask: bytes | None,
) -> bytes:
    rng = random.Random(hashlib.sha256(f"{prompt}\0{seed}".encode()).digest())
    opened = [Image.open(io.BytesIO(data)).convert("RGBA") for data in inputs]
    background = opened[0].resize((width, height)) if opened else None
    canvas = background.copy() if background else _background(rng, width, height, transparent)
    draw = ImageDraw.Draw(canvas, "RGBA")
    for _ in range(4 if background else 9):
        _shape(draw, rng, width, height)
    side = max(8, min(width, height) // 6)
    for number, image in enumerate(opened):
        thumbnail = image.copy()
        thumbnail.thumbnail((side, side))
        canvas.paste(thumbnail, (4 + (number * (side + 4)) % max(width - side, 1), 4))
    _caption(draw, prompt, width, height)
    if background and mask is not None:
        keep = Image.open(io.BytesIO(mask)).convert("RGBA").getchannel("A").resize((width, height))
        canvas = Image.composite(background, canvas, keep)
    out = io.BytesIO()
    keeps_alpha = format.upper() in ("PNG", "WEBP") and transparent
    (canvas if keeps_alpha else canvas.convert("RGB")).save(out, format, **_FASTEST.get(format.upper(), {}))
    return out.getvalue()


_paint_once = lru_cache(maxsize=64)(_paint)


def _background(rng: random.Random, width: int, height: int, transparent: bool) -> Image.Image:
    if transparent:
        return Image.new("RGBA", (width, height), (0, 0, 0, 0))
    top, bottom = ([rng.randrange(40, 216) for _ in range(3)] for _ in range(2))
    column = Image.new("RGB", (1, 2))
    column.putpixel((0, 0), tuple(top))
    column.putpixel((0, 1), tuple(bottom))
    column = column.resize((1, height), Image.Resampling.BILINEAR).convert("RGBA")
    return column.resize((width, height), Image.Resampling.NEAREST)


def _shape(draw: ImageDraw.ImageDraw, rng: random.Random, width: int, height: int) -> None:
    color = (*(rng.randrange(256) for _ in range(3)), rng.randrange(90, 200))
    x, y = rng.randrange(width), rng.randrange(height)
    radius = max(2, int(min(width, height) * rng.uniform(0.05, 0.3)))
    box = (x - radius, y - radius, x + radius, y + radius)
    if rng.random() < 0.5:
        draw.ellipse(box, fill=color)
    else:
        draw.regular_polygon((x, y, radius), rng.randrange(3, 8), rotation=rng.randrange(360), fill=color)


def _caption(draw: ImageDraw.ImageDraw, prompt: str, width: int, height: int) -> None:
    size = max(9, min(width, height) // 24)
    font = ImageFont.load_default(size)
    lines = textwrap.wrap(prompt, max(8, int(width / size * 1.7)))[:3]
    text = "\n".join([*lines, NOTICE])
    box = draw.multiline_textbbox((0, 0), text, font=font)
    left, top = 6, height - (box[3] - box[1]) - 10
    draw.rectangle((0, top - 6, width, height), fill=(0, 0, 0, 150))
    draw.multiline_text((left, top - 2), text, font=font, fill=(255, 255, 255, 235))
