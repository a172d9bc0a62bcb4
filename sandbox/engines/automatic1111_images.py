"""What the AUTOMATIC1111 sandbox does to images beside painting them."""

import io
import math

from PIL import Image, ImageOps, PngImagePlugin


def transparent_where_white(mask: bytes) -> bytes:
    """The painter's mask from A1111's, whose white pixels are edited."""
    grey = Image.open(io.BytesIO(mask)).convert("L")
    image = Image.new("RGBA", grey.size)
    image.putalpha(ImageOps.invert(grey))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def with_note(data: bytes, note: str) -> bytes:
    """The image with the `parameters` text that A1111 writes into its PNGs."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", note)
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def grid(images: list[bytes], width: int, height: int) -> bytes:
    """One image of all, in rows, each `width` by `height`."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for number, data in enumerate(images):
        sheet.paste(Image.open(io.BytesIO(data)), (number % columns * width, number // columns * height))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()
