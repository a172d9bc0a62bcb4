"""Detection of an image's type and size from its content."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_gateway.images.sniff import ImageType, sniff

SIZE = (97, 61)

SAMPLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "png": ("PNG", "image/png", {}),
    "jpeg": ("JPEG", "image/jpeg", {}),
    "progressive jpeg": ("JPEG", "image/jpeg", {"progressive": True}),
    "webp": ("WEBP", "image/webp", {}),
    "lossless webp": ("WEBP", "image/webp", {"lossless": True}),
    "extended webp": ("WEBP", "image/webp", {"icc_profile": b"profile"}),
    "gif": ("GIF", "image/gif", {}),
    "animated gif": (
        "GIF",
        "image/gif",
        {"save_all": True, "append_images": [Image.new("L", SIZE, 9)], "comment": b"c"},
    ),
    "avif": ("AVIF", "image/avif", {}),
}

HEADERS = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08",
    b"GIF89a",
    b"GIF89a\1\0\1\0\0\0\0",
    b"RIFF\4\0\0\0WEBPVP8X",
    b"RIFF\4\0\0\0WEBPVP8L",
    b"RIFF\4\0\0\0WEBPVP8 ",
    b"\0\0\0\x10ftypavif\0\0\0\0mif1",
    b"\0\0\0\x10ftypavif\0\0\0\0mif1\0\0\0\0mdat",
]


def encoded(name: str) -> bytes:
    kind, _, options = SAMPLES[name]
    out = io.BytesIO()
    Image.effect_noise(SIZE, 80).convert("RGB").save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("name", SAMPLES)
def test_type_and_size_of_every_format(name: str) -> None:
    """Variants of a format have the same type."""
    assert sniff(encoded(name)) == ImageType(SAMPLES[name][1], *SIZE)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("percent", range(0, 100, 10))
def test_a_truncated_image_is_an_error(name: str, percent: int) -> None:
    """It can be cut anywhere."""
    data = encoded(name)

    with pytest.raises(ValueError, match=r"truncated|not an image of a known type"):
        sniff(data[: len(data) * percent // 100])


@pytest.mark.parametrize("name", SAMPLES)
def test_an_image_without_its_last_byte_is_truncated(name: str) -> None:
    """A single missing byte is detected."""
    with pytest.raises(ValueError, match="truncated"):
        sniff(encoded(name)[:-1])


def test_the_end_of_an_exif_thumbnail_is_not_the_end_of_the_jpeg() -> None:
    """A thumbnail in a JPEG's Exif data has an end marker of its own."""
    data = encoded("jpeg")
    exif = b"\xff\xe1\0\x0cExif\0\0..\xff\xd9"

    with pytest.raises(ValueError, match="truncated"):
        sniff(data[:2] + exif + data[2:-2])


def test_fill_bytes_before_a_jpeg_marker_are_skipped() -> None:
    """The standard allows them."""
    data = encoded("jpeg")

    assert sniff(data[:2] + b"\xff\xff" + data[2:]).width == 97


def test_avif_boxes_with_a_64_bit_length_or_no_length_are_skipped() -> None:
    """A box without a length extends to the end of the file."""
    data = encoded("avif")

    assert sniff(data + b"\0\0\0\1free\0\0\0\0\0\0\0\x10").width == 97
    assert sniff(data + b"\0\0\0\0freeabc").width == 97


def test_an_avif_without_a_size_has_its_type_only() -> None:
    """Width and height are None."""
    assert sniff(encoded("avif").replace(b"ispe", b"none")) == ImageType("image/avif", None, None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an image"),
        (b"<html></html>", "not an image"),
        (b"RIFF\x04\0\0\0WEBPALPH", "its first chunk is b'ALPH'"),
        (b"GIF89a\1\0\1\0\0\0\0\x07", "a block of type 0x07"),
        (b"GIF89a\0\0\0\0\0\0\0\x3b", "no pixels"),
    ],
)
def test_data_that_is_not_an_image_is_an_error(data: bytes, message: str) -> None:
    """The error contains the reason."""
    with pytest.raises(ValueError, match=message):
        sniff(data)


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("image/png", "png"), ("image/jpeg", "jpg"), ("image/webp", "webp"), ("image/gif", "gif"), ("image/avif", "avif")],
)
def test_each_type_has_its_usual_file_name_extension(kind: str, extension: str) -> None:
    """JPEG has `jpg`."""
    assert ImageType(kind, 1, 1).extension == extension


@given(st.sampled_from(HEADERS), st.binary(max_size=300))
def test_random_bytes_raise_only_value_error(header: bytes, rest: bytes) -> None:
    """They have a type or raise `ValueError`."""
    try:
        image_type = sniff(header + rest)
    except ValueError:
        return
    assert image_type.content_type.startswith("image/")


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damaged_images_raise_only_value_error(name: str, data: st.DataObject) -> None:
    """An image with a changed byte in its header has a type or raises `ValueError`."""
    image = bytearray(encoded(name))
    image[data.draw(st.integers(0, 99))] = data.draw(st.integers(0, 255))
    try:
        sniff(bytes(image))
    except ValueError:
        return
