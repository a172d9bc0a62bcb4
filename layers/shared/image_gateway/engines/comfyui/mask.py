"""Masks for ComfyUI, whose loaders read 1 - alpha, so that a transparent pixel is one to edit.

Pillow is imported where it is used: only the functions that edit have it.
"""

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from image_gateway.engines.protocol import InputImage

if TYPE_CHECKING:
    from PIL import Image


def opaque_colours(mask: InputImage) -> InputImage:
    """The mask with the pixels to edit also in white on black: right for nodes that read colours and not alpha, too."""
    from PIL import Image, ImageChops  # noqa: PLC0415 - only edits with a mask need Pillow

    with Image.open(io.BytesIO(mask.data)) as opened:
        alpha = opened.convert("RGBA").getchannel("A")
    white = ImageChops.invert(alpha)
    return _png(mask, Image.merge("RGBA", (white, white, white, alpha)))


def everything(image: InputImage) -> InputImage:
    """A mask of the size of `image` that lets every pixel change."""
    from PIL import Image  # noqa: PLC0415 - only edits with a mask need Pillow

    return _png(image, Image.new("RGBA", (image.width, image.height), (255, 255, 255, 0)))


def as_alpha(image: InputImage, mask: InputImage) -> InputImage:
    """The image with the mask's alpha in place of its own; its colours stay as they are."""
    from PIL import Image  # noqa: PLC0415 - only edits with a mask need Pillow

    with Image.open(io.BytesIO(image.data)) as original, Image.open(io.BytesIO(mask.data)) as opened:
        masked = original.convert("RGB")
        masked.putalpha(opened.convert("RGBA").getchannel("A").resize(masked.size))
    return _png(image, masked)


def _png(origin: InputImage, image: "Image.Image") -> InputImage:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return replace(origin, data=out.getvalue(), content_type="image/png")
