"""Normalization of valid input images."""

import struct

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from image_gateway.images.normalize import normalize
from tests.unit.images.sample_images import (
    ENCODERS,
    HEIC,
    RED,
    TRANSPOSE_BY_ORIENTATION,
    assert_no_metadata,
    assert_upright,
    decode,
    encode,
    exif_tags,
    quarters,
)


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_format_becomes_png_or_jpeg(kind: str) -> None:
    """The image is upright and has the same size, and no metadata."""
    make, content_type = ENCODERS[kind]
    image = normalize(make(), field="image")
    assert (image.width, image.height, image.content_type) == (64, 32, content_type)
    assert_upright(decode(image))
    assert_no_metadata(image)


def test_heic_becomes_jpeg() -> None:
    """A phone's HEIC photo is rotated according to its orientation, and has no GPS position."""
    image = normalize(HEIC, field="image")
    assert (image.width, image.height, image.content_type) == (32, 64, "image/jpeg")
    above, below = (decode(image).getpixel((16, y)) for y in (12, 52))
    assert isinstance(above, tuple)
    assert isinstance(below, tuple)
    assert above[0] > 150 > above[2]
    assert below[2] > 150 > below[0]
    assert_no_metadata(image)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", TRANSPOSE_BY_ORIENTATION)
def test_every_orientation_is_applied(orientation: int, format: str) -> None:
    """The image is upright, and has neither an orientation nor a GPS position."""
    turn = TRANSPOSE_BY_ORIENTATION[orientation]
    stored = quarters() if turn is None else quarters().transpose(turn)
    exif = exif_tags(orientation)
    image = normalize(encode(stored, format, quality=95, exif=exif), field="image")
    assert (image.width, image.height) == (64, 32)
    assert_upright(decode(image))
    assert_no_metadata(image)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_is_dropped() -> None:
    """An image whose metadata cannot be read is still valid."""
    broken = b"Exif\0\0MM\0*\xff\xff\xff\xff"
    for kind in ("JPEG", "PNG", "WEBP"):
        assert_upright(decode(normalize(encode(quarters(), kind, quality=95, exif=broken), field="image")))
    assert_upright(decode(normalize(encode(quarters(), "PNG", exif=b"not EXIF at all"), field="image")))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_alpha_is_kept(format: str) -> None:
    """An image with alpha becomes a PNG with the same alpha."""
    photo = quarters()
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    image = normalize(encode(photo, format, lossless=True, quality=100), field="image")
    assert image.content_type == "image/png"
    before, after = photo.getchannel("A"), decode(image).getchannel("A")
    assert all(abs(a - b) < 3 for a, b in zip(before.tobytes(), after.tobytes(), strict=True))


@pytest.mark.parametrize("mode", ["LA", "P", "1", "L", "I", "I;16", "F", "CMYK", "YCbCr", "I;16B"])
def test_every_mode_becomes_rgb_or_rgba(mode: str) -> None:
    """Palettes, grays of any depth and CMYK become RGB, with alpha if they had it."""
    gray = Image.linear_gradient("L")
    if mode.startswith("I;16"):
        photo = gray.convert("I").point(lambda value: value * 257 + 0).convert(mode)
    else:
        photo = gray.convert(mode)
    out = decode(normalize(encode(photo, "PNG" if mode in ("P", "LA") else "TIFF"), field="image"))
    assert out.mode == ("RGBA" if mode == "LA" else "RGB")
    dark, bright = (out.convert("L").getpixel((128, y)) for y in (0, 255))
    assert isinstance(dark, int)
    assert isinstance(bright, int)
    assert dark < 8
    assert bright > 247


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_premultiplied_colors_are_restored(mode: str) -> None:
    """In a TIFF with associated alpha, colors are stored multiplied by their alpha."""
    data = encode(Image.new("RGBA", (4, 4), (100, 100, 100, 128)).convert(mode), "TIFF")
    associated, straight = (struct.pack("<HHIHH", 338, 3, 1, kind, 0) for kind in (1, 2))
    assert data.count(straight) == 1
    pixel = decode(normalize(data.replace(straight, associated), field="image")).getpixel((0, 0))
    assert pixel == (199, 199, 199, 128)


def test_16_bit_gray_keeps_its_brightness() -> None:
    """Half of the range stays half of the range."""
    photo = Image.new("I;16", (8, 8), 32_768)
    assert decode(normalize(encode(photo, "PNG"), field="image")).getpixel((0, 0)) == (127, 127, 127)


def test_a_float_image_with_a_single_value_is_valid() -> None:
    """Stretching its range must not divide by zero."""
    out = normalize(encode(Image.new("F", (4, 4), 0.5), "TIFF"), field="image")
    assert decode(out).getpixel((0, 0)) == (0, 0, 0)


def test_a_transparent_color_becomes_alpha() -> None:
    """A file can declare one of its colors as transparent."""
    for photo in (quarters(), Image.new("L", (8, 8), 7)):
        key = RED if photo.mode == "RGB" else 7
        image = normalize(encode(photo, "PNG", transparency=key), field="image")
        pixel = decode(image).getpixel((0, 0))
        assert isinstance(pixel, tuple)
        assert pixel[3] == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_color_profile_is_removed(mode: str) -> None:
    """This includes profiles that cannot be applied to the image."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = Image.new("RGB", (4, 4), RED).convert(mode)
    image = normalize(encode(photo, "PNG", icc_profile=profile), field="image")
    assert_no_metadata(image)
    pixel = decode(image).convert("RGB").getpixel((0, 0))
    assert pixel == photo.convert("RGB").getpixel((0, 0))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_no_metadata(normalize(encode(photo, "PNG", icc_profile=srgb), field="image"))


def swapped_profile() -> bytes:
    """Return an sRGB profile with red and blue swapped."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmpX", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmpX", b"bXYZ", 1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_color_profile_is_applied(mode: str) -> None:
    """Pixels that are red according to the profile are red in the result."""
    photo = Image.new("RGB", (4, 4), (0, 0, 255)).convert(mode)
    image = normalize(encode(photo, "PNG", icc_profile=swapped_profile()), field="image")
    pixel = decode(image).convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 240
    assert pixel[2] < 16


def test_text_chunks_of_a_png_are_removed() -> None:
    """They can be compressed or not."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Somebody")
    text.add_itxt("Location", "Somebody's home", zip=True)
    assert_no_metadata(normalize(encode(quarters(), "PNG", pnginfo=text), field="image"))
