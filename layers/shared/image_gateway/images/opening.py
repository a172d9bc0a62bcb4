"""Opening of encoded images with Pillow, in every format that the gateway decodes. This module loads Pillow."""

import io

from PIL import (
    AvifImagePlugin,  # noqa: F401 - importing a plugin registers it; else Pillow would load all of its plugins
    Image,
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from image_gateway.images.essentials import essentials
from image_gateway.images.formats import isobmff

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# libheif keeps every frame, thumbnail and depth map that it may decode; only the image itself is needed.
_HEIF_OPTIONS = {"thumbnails": False, "depth_images": False, "aux_images": False, "decode_threads": 1}


def open_image(data: bytes) -> Image.Image:
    """Read the header of an encoded image. Its pixels are not decoded yet, except those of HEIC and AVIF.

    Of the metadata, only the color profile and the orientation are read, and both are ignored if they are damaged.

    Raises:
        UnidentifiedImageError: the data is not an image in a supported format.
        Exception: whatever Pillow raises for a damaged file, or for one with too many pixels.
    """
    decodable, profile = essentials(data)
    opened = Image.open(io.BytesIO(decodable), formats=formats(data))
    if profile:
        opened.info["icc_profile"] = profile
    return opened


def formats(data: bytes) -> tuple[str, ...]:
    """Return the names of the formats that an image may have, and load the decoder that only it needs."""
    if data[4:8] != b"ftyp" or isobmff.is_avif(data):
        return _FORMATS
    from pi_heif import register_heif_opener  # noqa: PLC0415 - it is large, and few images are HEIC

    register_heif_opener(**_HEIF_OPTIONS)
    return (*_FORMATS, "HEIF")
