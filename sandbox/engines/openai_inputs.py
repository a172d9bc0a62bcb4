"""The input images of an edit, with OpenAI's checks."""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, UnidentifiedImageError

from sandbox.engines.openai_rules import MAX_INPUTS, Refusal, missing_parameter

_FORMATS = ("PNG", "JPEG", "WEBP")
_MAX_MASK_BYTES = 4_000_000
_IMAGE_TOKENS = 300
_UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError)


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a multipart form. `name` is the form field's name."""

    name: str
    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Inputs:
    """Encoded images to edit, the size of the first in pixels, and its mask."""

    images: tuple[bytes, ...] = ()
    size: tuple[int, int] = (1, 1)
    mask: bytes | None = None

    def fitting_size(self) -> tuple[int, int]:
        """Return the standard size nearest to the first image's shape, which is the meaning of `auto` here."""
        width, height = self.size
        if width > height:
            return 1536, 1024
        return (1024, 1536) if height > width else (1024, 1024)

    def tokens(self) -> int:
        """Return the number of tokens of the images."""
        return _IMAGE_TOKENS * len(self.images)


def read_inputs(fields: dict[str, Any], files: list[Upload]) -> Inputs:
    """Read `image`, `image[]` and `mask`.

    Raises:
        Refusal: there is no image or too many, one is not a PNG, JPEG or WebP, or the mask does not match.
    """
    for name in ("image", "image[]", "mask"):
        if name in fields:
            message = f"Invalid type for '{name}': expected a file, but got a string instead."
            raise Refusal(message, code="invalid_type", param=name)
    for file in files:
        if file.name not in ("image", "image[]", "mask"):
            raise Refusal(f"Unknown parameter: '{file.name}'.", code="unknown_parameter", param=file.name)
    images = [file.data for file in files if file.name != "mask"]
    masks = [file.data for file in files if file.name == "mask"]
    if not images:
        raise missing_parameter("image")
    if len(images) > MAX_INPUTS:
        message = f"Invalid 'image': array too long. Expected an array with maximum length {MAX_INPUTS}"
        raise Refusal(f"{message}, but got {len(images)}.", code="array_above_max_length", param="image")
    decoded = [_open(data, number) for number, data in enumerate(images, 1)]
    if masks:
        _check_mask(masks[0], decoded[0].size)
    return Inputs(tuple(images), decoded[0].size, masks[0] if masks else None)


def _open(data: bytes, number: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        image.load()
    except _UNREADABLE:
        message = f"Invalid image file or mode for image {number}, please check your image file."
        raise Refusal(message, code="invalid_image_file", param="image") from None
    return image


def _check_mask(data: bytes, size: tuple[int, int]) -> None:
    try:
        mask = Image.open(io.BytesIO(data), formats=("PNG",))
        mask.load()
    except _UNREADABLE:
        raise _bad_mask("mask must be a valid PNG file") from None
    if len(data) > _MAX_MASK_BYTES:
        raise _bad_mask("mask must be less than 4MB")
    if mask.size != size:
        raise _bad_mask("mask size does not match image size")
    if "A" not in mask.getbands():
        raise _bad_mask("mask image missing alpha channel")


def _bad_mask(reason: str) -> Refusal:
    message = f"Invalid mask image format - {reason}"
    return Refusal(message, code="invalid_mask_image_format", param="mask", kind="image_generation_user_error")
