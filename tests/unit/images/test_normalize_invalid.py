"""Input images that are too large, damaged, truncated, or no images."""

import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_gateway.errors import InvalidImage
from image_gateway.images.normalize import normalize
from tests.unit.images.crafted_png import crafted_png, png_chunk
from tests.unit.images.sample_images import ENCODERS, HEIC, decode, encode, quarters

ROW = zlib.compress(bytes(9))
INVALID_FILES: dict[str, Callable[[], bytes]] = {
    "50,000 x 50,000 pixels in 50 KB": lambda: crafted_png(
        50_000, 50_000, png_chunk(b"IDAT", zlib.compress(bytes(50_000_000), 9)[:50_000])
    ),
    "10,000 x 10,000 pixels": lambda: crafted_png(10_000, 10_000, png_chunk(b"IDAT", ROW)),
    "20,000 x 10 pixels": lambda: crafted_png(20_000, 10, png_chunk(b"IDAT", ROW)),
    "GIF of 65,535 x 65,535 pixels": lambda: b"GIF89a\xff\xff\xff\xff" + encode(quarters(), "GIF")[10:],
    "one byte": lambda: b"\x89",
    "nothing": lambda: b"",
    "HTML": lambda: b"<!doctype html><title>no image</title>",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "PDF": lambda: b"%PDF-1.7\n",
    "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "PPM": lambda: encode(quarters(), "PPM"),
    "unknown brand": lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
}


@pytest.mark.parametrize("file", INVALID_FILES)
def test_oversized_images_and_other_files_are_invalid(file: str) -> None:
    """The error has the field of the image."""
    with pytest.raises(InvalidImage) as caught:
        normalize(INVALID_FILES[file](), field="image[3]")
    assert caught.value.field == "image[3]"


@pytest.mark.parametrize("kind", [kind for kind in ENCODERS if "," not in kind] + ["heic"])
def test_truncated_files_are_invalid(kind: str) -> None:
    """Even a file cut shortly before its end is not filled with gray pixels."""
    data = HEIC if kind == "heic" else ENCODERS[kind][0]()
    if kind == "mpo":
        data = data[: data.index(b"\xff\xd9") + 2]
    for length in (20, len(data) // 2, len(data) - 16):
        with pytest.raises(InvalidImage):
            normalize(data[:length], field="image")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(sorted(ENCODERS)), at=st.floats(0, 1), junk=st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_an_image_or_invalid(kind: str, at: float, junk: bytes) -> None:
    """No change of bytes causes any other exception."""
    data = bytearray(ENCODERS[kind][0]())
    position = int(at * (len(data) - 1))
    data[position : position + len(junk)] = junk
    with suppress(InvalidImage):
        decode(normalize(bytes(data), field="image"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_invalid(data: bytes) -> None:
    """They cause no other exception."""
    with pytest.raises(InvalidImage):
        normalize(data, field="image")
