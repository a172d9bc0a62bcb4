"""Conversion of an encoded image to another format, without metadata.

This module loads Pillow, so only the processes of `images.decoding` import it.
"""

import io

from PIL import Image, ImageChops

from image_gateway.images.normalize import srgb, upright
from image_gateway.images.opening import open_image

MAX_PIXELS = 24_000_000
"""Maximum number of pixels. A conversion to WebP takes 3 s of CPU time for so many."""

_MAX_THOROUGH_PIXELS = 4_000_000
"""Larger images are compressed less thoroughly as PNG, which is six times faster and makes them a seventh larger."""
_DEFAULT_QUALITY = {"jpeg": 95, "webp": 90}


class ConversionError(Exception):
    """An image cannot be decoded, or cannot be encoded in the format. The text says why."""


def reencode(data: bytes, format: str, *, quality: int | None = None) -> tuple[bytes, bool]:
    """Decode an image (its first frame) and encode it upright, in sRGB and without metadata.

    Args:
        data: the encoded image.
        format: png, jpeg or webp.
        quality: 0 to 100, for jpeg and webp.

    Returns:
        The encoded image, and whether transparent pixels were flattened onto white because the format has no
        transparency.

    Raises:
        ConversionError: the image is damaged, larger than `MAX_PIXELS`, or has a longer side than the format allows.
    """
    image = _decode(data)
    flattened = False
    if format == "jpeg" and image.mode == "RGBA":
        flattened = ImageChops.invert(image.getchannel("A")).getbbox() is not None
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    image.info = {}
    out = io.BytesIO()
    if format == "png":
        options = {"compress_level": 6 if image.width * image.height <= _MAX_THOROUGH_PIXELS else 1}
    else:
        options = {"quality": _DEFAULT_QUALITY[format] if quality is None else quality}
    try:
        image.save(out, format.upper(), **options)
    except (OSError, ValueError) as error:  # a webp has at most 16,383 pixels a side
        raise ConversionError(f"{image.width}x{image.height} pixels are too many for it") from error
    return out.getvalue(), flattened


def _decode(data: bytes) -> Image.Image:
    try:
        with open_image(data) as opened:
            if opened.width * opened.height <= MAX_PIXELS:
                return srgb(upright(opened))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pass  # raised below, as for any image with too many pixels
    except Exception as error:  # decoders raise exceptions of any type for damaged files
        raise ConversionError("it is damaged") from error
    raise ConversionError(f"it has more than {MAX_PIXELS // 1_000_000} megapixels")
