"""Encodes an image anew, without any metadata. Loads Pillow; blocks: call it in a thread."""

import io

from PIL import Image, ImageChops, WebPImagePlugin  # noqa: F401 - imported, a plugin registers itself

from image_gateway.images.normalise import srgb

MAX_PIXELS = 24_000_000
"""Most pixels that an image may have: at 16 bytes each, what it takes is 400 MB."""

_QUALITY = {"jpeg": 95, "webp": 90}
"""Where none is asked for."""


class ConversionError(Exception):
    """An image that cannot be decoded, or not encoded in that format. Its text says why."""


def reencode(data: bytes, format: str, *, quality: int | None = None) -> tuple[bytes, bool]:
    """Decode an image (its first frame) and encode it, in sRGB and without metadata.

    Args:
        data: the encoded image.
        format: png, jpeg or webp.
        quality: 0 to 100, for jpeg and webp.

    Returns:
        The encoded image, and whether transparent pixels were laid on white because the format has none.

    Raises:
        ConversionError: it is damaged, larger than `MAX_PIXELS`, or has a longer side than the format can have.
    """
    image = _decoded(data)
    flattened = False
    if format == "jpeg" and image.mode == "RGBA":
        flattened = ImageChops.invert(image.getchannel("A")).getbbox() is not None
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    image.info = {}
    out = io.BytesIO()
    options = {} if format == "png" else {"quality": _QUALITY[format] if quality is None else quality}
    try:
        image.save(out, format.upper(), **options)
    except (OSError, ValueError) as error:  # a webp has at most 16,383 pixels a side
        raise ConversionError(f"{image.width}x{image.height} pixels are too many for it") from error
    return out.getvalue(), flattened


def _decoded(data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.width * opened.height <= MAX_PIXELS:
                opened.load()
                return srgb(opened)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pass  # which is said below
    except Exception as error:  # decoders raise whatever a damaged file makes them trip over
        raise ConversionError("it is damaged") from error
    raise ConversionError(f"it has more than {MAX_PIXELS // 1_000_000} megapixels")
