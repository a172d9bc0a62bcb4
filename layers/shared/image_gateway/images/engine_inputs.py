"""Conversion of input images and masks to what engines expect. Only decoding processes import this module.

All functions take encoded images, which have been normalized, and return a PNG. A mask is RGBA, of the size of its
image, and its transparent pixels are the ones to edit.
"""

import io

from PIL import Image, ImageChops


def resized(image: bytes, width: int, height: int) -> bytes:
    """Return an image or a mask in another size."""
    with Image.open(io.BytesIO(image)) as opened:
        return _png(opened.resize((width, height), Image.Resampling.LANCZOS))


def white_where_transparent(mask: bytes) -> bytes:
    """Return a gray mask whose white pixels are the ones to edit."""
    return _png(ImageChops.invert(_alpha(mask)))


def with_colors(mask: bytes) -> bytes:
    """Return the mask with the pixels to edit also in white on black, for nodes that read colors and not alpha."""
    alpha = _alpha(mask)
    white = ImageChops.invert(alpha)
    return _png(Image.merge("RGBA", (white, white, white, alpha)))


def fully_editable(image: bytes) -> bytes:
    """Return a mask of the size of an image that lets every pixel change."""
    with Image.open(io.BytesIO(image)) as opened:
        size = opened.size
    return _png(Image.new("RGBA", size, (255, 255, 255, 0)))


def as_alpha(image: bytes, mask: bytes) -> bytes:
    """Return the image with the mask's alpha in place of its own. Its colors do not change."""
    alpha = _alpha(mask)
    with Image.open(io.BytesIO(image)) as opened:
        opened.load()
        masked = opened if opened.mode in ("RGB", "RGBA") else opened.convert("RGB")
        masked.putalpha(alpha if alpha.size == masked.size else alpha.resize(masked.size))
        return _png(masked)


def _alpha(mask: bytes) -> Image.Image:
    with Image.open(io.BytesIO(mask)) as opened:
        return opened.convert("RGBA").getchannel("A")


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.info = {}
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()
