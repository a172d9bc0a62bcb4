"""Image operations of the AUTOMATIC1111 sandbox: masks, metadata and grids."""

import io
import math

from PIL import Image, ImageOps, PngImagePlugin


def transparent_where_white(mask: bytes) -> bytes:
    """Convert A1111's mask, whose white pixels are edited, to the painter's."""
    gray = Image.open(io.BytesIO(mask)).convert("L")
    image = Image.new("RGBA", gray.size)
    image.putalpha(ImageOps.invert(gray))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def with_parameters_text(data: bytes, text: str) -> bytes:
    """Return the image as a PNG with `text` as `parameters`, as A1111 writes it."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", text)
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def grid(images: list[bytes], width: int, height: int) -> bytes:
    """Return one image with all images in rows, each `width` by `height`."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for number, data in enumerate(images):
        sheet.paste(Image.open(io.BytesIO(data)), (number % columns * width, number // columns * height))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()
