"""Detection of an image's type and size from its content."""

import io
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_gateway.images.sniff import ImageType, UnfinishedImage, sniff
from tests.unit.images import avif_boxes
from tests.unit.images.crafted_png import crafted_png, png_chunk

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
    b"\0\0\0\x10ftypavif\0\0\0\0mif1\0\0\0\x08mdat\0\0\0\x30meta\0\0\0\0\0\0\0\x0epitm\0\0\0\0\0\1\0\0\0\x16iprp\0\0\0\x08ipco",
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


def test_the_size_of_an_avif_grid_is_that_of_the_whole_image() -> None:
    """The first size in such a file is that of a tile."""
    data = avif_boxes.grid(Image.new("RGB", (320, 128), "red"))

    assert sniff(data) == ImageType("image/avif", 320, 128)


def test_the_size_of_an_avif_is_that_after_cropping_and_rotating_it() -> None:
    """Both are properties of the image, which programs apply in this order."""
    cropped = struct.pack(">8I", 100, 1, 90, 1, 0, 1, 0, 1)
    properties = [avif_boxes.box(b"clap", cropped), avif_boxes.box(b"irot", b"\1")]

    data = avif_boxes.grid(Image.new("RGB", (128, 128), "red"), properties=properties)

    assert sniff(data) == ImageType("image/avif", 90, 100)


def test_an_invalid_crop_of_an_avif_is_ignored() -> None:
    """It is larger than the image, or divided by zero."""
    for cropped in ((200, 1, 90, 1), (100, 0, 90, 1)):
        properties = [avif_boxes.box(b"clap", struct.pack(">8I", *cropped, 0, 1, 0, 1))]

        assert sniff(avif_boxes.grid(Image.new("RGB", (128, 64)), properties=properties)).width == 128


@pytest.mark.parametrize("brand", [b"mif1", b"msf1", b"miaf", b"avis"])
def test_an_avif_may_have_a_general_major_brand(brand: bytes) -> None:
    """Its compatible brands say that it is one."""
    assert sniff(avif_boxes.with_brand(encoded("avif"), brand)) == ImageType("image/avif", *SIZE)


def test_a_file_with_brands_of_other_formats_only_is_no_image() -> None:
    """HEIC, for example: engines do not make it, and it is not stored."""
    with pytest.raises(ValueError, match="not an image of a known type"):
        sniff(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic\0\0\0\x08mdat")


@pytest.mark.parametrize(("name", "missing_bytes"), [("png", 12), ("jpeg", 2), ("progressive jpeg", 2), ("gif", 1)])
def test_only_a_missing_end_marker_is_told_apart_from_missing_pixels(name: str, missing_bytes: int) -> None:
    """It is for decoding to find out whether all pixels are there."""
    with pytest.raises(UnfinishedImage, match="truncated"):
        sniff(encoded(name)[:-missing_bytes])


def test_a_jpeg_ends_at_its_own_end_marker() -> None:
    """What a camera writes behind it may contain markers, even those of a truncated image."""
    assert sniff(encoded("jpeg") + b"\xff\xd8\xff\xc0\0\x11\x08\0\1\0\1") == ImageType("image/jpeg", *SIZE)


@pytest.mark.parametrize(
    "data",
    [
        crafted_png(8, 1, png_chunk(b"tEXt", b"") * 100_001),
        b"\xff\xd8" + b"\xff\xfe\0\2" * 100_001,
        encoded("avif") + b"\0\0\0\x08free" * 100_001,
    ],
    ids=["png", "jpeg", "avif"],
)
def test_an_image_of_too_many_parts_is_refused(data: bytes) -> None:
    """It was made to keep a program busy."""
    with pytest.raises(ValueError, match="more than 100000 parts"):
        sniff(data)


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
