"""Masks for ComfyUI. Its loaders read 1 - alpha, so that a transparent pixel is one to edit.

Pillow is imported inside the functions, since only the Lambda functions that edit have it.
"""

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from image_gateway.engines.protocol import InputImage

if TYPE_CHECKING:
    from PIL import Image


def mask_with_colors(mask: InputImage) -> InputImage:
    """Return the mask with the pixels to edit also in white on black, for nodes that read colors and not alpha."""
    from PIL import Image, ImageChops  # noqa: PLC0415 - only edits with a mask need Pillow

    with Image.open(io.BytesIO(mask.data)) as opened:
        alpha = opened.convert("RGBA").getchannel("A")
    white = ImageChops.invert(alpha)
    return _png(mask, Image.merge("RGBA", (white, white, white, alpha)))


def fully_editable_mask(image: InputImage) -> InputImage:
    """Return a mask of the size of `image` that lets every pixel change."""
    from PIL import Image  # noqa: PLC0415 - only edits with a mask need Pillow

    return _png(image, Image.new("RGBA", (image.width, image.height), (255, 255, 255, 0)))


def with_mask_as_alpha(image: InputImage, mask: InputImage) -> InputImage:
    """Return the image with the mask's alpha in place of its own. Its colors do not change."""
    from PIL import Image  # noqa: PLC0415 - only edits with a mask need Pillow

    with Image.open(io.BytesIO(image.data)) as original, Image.open(io.BytesIO(mask.data)) as opened:
        masked = original.convert("RGB")
        masked.putalpha(opened.convert("RGBA").getchannel("A").resize(masked.size))
    return _png(image, masked)


def _png(source: InputImage, image: "Image.Image") -> InputImage:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return replace(source, data=out.getvalue(), content_type="image/png")
