"""Normalization of masks."""

import pytest
from PIL import Image

from image_gateway.engines.protocol import InputImage
from image_gateway.errors import InvalidImage
from image_gateway.images.normalize import MAX_MASK_BYTES, normalize, normalize_mask
from tests.unit.images.sample_images import TRANSPOSE_BY_ORIENTATION, decode, encode, exif_tags, quarters


def white_mask(size: tuple[int, int] = (64, 32), box: tuple[int, int, int, int] = (0, 0, 32, 32)) -> Image.Image:
    """Return a white image with a transparent box."""
    mask = Image.new("RGBA", size, (255, 255, 255, 255))
    mask.paste((0, 0, 0, 0), box)
    return mask


@pytest.fixture
def first() -> InputImage:
    """The first image of the edit."""
    return normalize(encode(quarters(), "PNG"), field="image")


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF"])
def test_a_mask_becomes_alpha_over_black(format: str, first: InputImage) -> None:
    """The colors of a mask are removed."""
    mask = normalize_mask(encode(white_mask(), format), size_of=first, field="mask")
    photo = decode(mask)
    assert (photo.format, photo.mode) == ("PNG", "RGBA")
    assert photo.getpixel((10, 10)) == (0, 0, 0, 0)
    assert photo.getpixel((50, 10)) == (0, 0, 0, 255)


def test_a_mask_keeps_partial_transparency(first: InputImage) -> None:
    """Alpha values between 0 and 255 are unchanged."""
    soft = Image.new("RGBA", (64, 32), (0, 0, 0, 100))
    mask = normalize_mask(encode(soft, "PNG"), size_of=first, field="mask")
    assert decode(mask).getpixel((0, 0)) == (0, 0, 0, 100)


def test_the_orientation_of_a_mask_is_applied(first: InputImage) -> None:
    """The mask fits the image that it was made from."""
    stored = white_mask().transpose(TRANSPOSE_BY_ORIENTATION[6] or Image.Transpose.ROTATE_90)
    mask = normalize_mask(encode(stored, "PNG", exif=exif_tags(6)), size_of=first, field="mask")
    assert decode(mask).getpixel((10, 10)) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (quarters(), "alpha channel"),
        (Image.new("L", (64, 32)), "alpha channel"),
        (Image.new("RGBA", (64, 32), (0, 0, 0, 255)), "opaque everywhere"),
        (white_mask(size=(32, 64)), "32x64 and the first image 64x32"),
    ],
)
def test_the_error_for_an_unusable_mask_has_the_reason(mask: Image.Image, reason: str, first: InputImage) -> None:
    """The mask has no alpha, no transparent pixels, or another size than the image."""
    with pytest.raises(InvalidImage, match=reason) as caught:
        normalize_mask(encode(mask, "PNG"), size_of=first, field="mask")
    assert caught.value.field == "mask"


def test_a_mask_over_4_mb_is_invalid() -> None:
    """Noise compresses badly. Engines accept masks of at most 4 MB."""
    size = (2600, 2600)
    noise = Image.new("RGBA", size)
    noise.putalpha(Image.effect_noise(size, 200))
    first = InputImage(b"", "image/png", *size)
    with pytest.raises(InvalidImage, match="4 MB"):
        normalize_mask(encode(noise, "PNG", compress_level=1), size_of=first, field="mask")
    assert MAX_MASK_BYTES == 4_000_000
