"""What an encoded image is, told by its bytes."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_gateway.images.sniff import ImageType, sniff

SIZE = (97, 61)

MADE: dict[str, tuple[str, str, dict[str, Any]]] = {
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

MAGIC = [
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
    kind, _, options = MADE[name]
    out = io.BytesIO()
    Image.effect_noise(SIZE, 80).convert("RGB").save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("name", MADE)
def test_type_and_size(name: str) -> None:
    """Every kind of image is told with its size."""
    assert sniff(encoded(name)) == ImageType(MADE[name][1], *SIZE)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("percent", range(0, 100, 10))
def test_truncated(name: str, percent: int) -> None:
    """An image cut off anywhere is not taken for whole."""
    data = encoded(name)

    with pytest.raises(ValueError, match=r"truncated|not an image of a known type"):
        sniff(data[: len(data) * percent // 100])


@pytest.mark.parametrize("name", MADE)
def test_last_byte_missing(name: str) -> None:
    """A single missing byte is noticed."""
    with pytest.raises(ValueError, match="truncated"):
        sniff(encoded(name)[:-1])


def test_thumbnail_does_not_end_a_jpeg() -> None:
    """The end of a thumbnail inside a JPEG's Exif data is not the image's own end."""
    data = encoded("jpeg")
    exif = b"\xff\xe1\0\x0cExif\0\0..\xff\xd9"

    with pytest.raises(ValueError, match="truncated"):
        sniff(data[:2] + exif + data[2:-2])


def test_jpeg_with_fill_bytes() -> None:
    """Fill bytes before a JPEG's markers are skipped, as the standard allows them."""
    data = encoded("jpeg")

    assert sniff(data[:2] + b"\xff\xff" + data[2:]).width == 97


def test_large_box_of_an_avif() -> None:
    """A box with a 64-bit length is passed over, and one without a length reaches to the end."""
    data = encoded("avif")

    assert sniff(data + b"\0\0\0\1free\0\0\0\0\0\0\0\x10").width == 97
    assert sniff(data + b"\0\0\0\0freeabc").width == 97


def test_avif_without_a_size() -> None:
    """An AVIF that does not tell its size is known without one."""
    assert sniff(encoded("avif").replace(b"ispe", b"none")) == ImageType("image/avif", None, None)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not an image"),
        (b"<html></html>", "not an image"),
        (b"RIFF\x04\0\0\0WEBPALPH", "its first chunk is b'ALPH'"),
        (b"GIF89a\1\0\1\0\0\0\0\x07", "a block of type 0x07"),
        (b"GIF89a\0\0\0\0\0\0\0\x3b", "no pixels"),
    ],
)
def test_not_an_image(data: bytes, said: str) -> None:
    """What is no image is refused with a reason."""
    with pytest.raises(ValueError, match=said):
        sniff(data)


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("image/png", "png"), ("image/jpeg", "jpg"), ("image/webp", "webp"), ("image/gif", "gif"), ("image/avif", "avif")],
)
def test_extension(kind: str, extension: str) -> None:
    """Each type has its usual file name extension."""
    assert ImageType(kind, 1, 1).extension == extension


@given(st.sampled_from(MAGIC), st.binary(max_size=300))
def test_random_bytes_only_ever_raise_value_error(magic: bytes, rest: bytes) -> None:
    """Bytes of any kind are told or refused, and nothing else happens."""
    try:
        kind = sniff(magic + rest)
    except ValueError:
        return
    assert kind.content_type.startswith("image/")


@given(st.sampled_from(sorted(MADE)), st.data())
def test_damaged_images_only_ever_raise_value_error(name: str, data: st.DataObject) -> None:
    """An image with a byte changed in its head is told or refused, and nothing else happens."""
    image = bytearray(encoded(name))
    image[data.draw(st.integers(0, 99))] = data.draw(st.integers(0, 255))
    try:
        sniff(bytes(image))
    except ValueError:
        return
