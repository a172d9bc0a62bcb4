"""Images without an end marker: those with all pixels are completed, and those without are truncated."""

from typing import Any

import pytest
from PIL import Image

from image_gateway.errors import InvalidImage
from image_gateway.images.normalize import normalize
from image_gateway.images.sniff import sniff
from image_gateway.images.unfinished import TooManyPixelsError, finished
from tests.integration.sample_images import opened
from tests.unit.images.sound_images import encode, photo
from tests.unit.images.sound_jpegs import VENDOR_TRAILER
from tests.unit.images.sound_pngs import many_small_chunks

JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "4:2:0": {"subsampling": 2},
    "optimized": {"optimize": True},
    "restart markers": {"restart_marker_blocks": 2},
    "a restart marker for each row": {"restart_marker_rows": 1},
    "progressive, restart markers": {"progressive": True, "restart_marker_rows": 1},
}
MAX_PIXELS = 1_000_000


def jpeg(name: str) -> bytes:
    """Return a JPEG without its end marker."""
    return encode(photo(), "JPEG", quality=90, **JPEGS[name])[:-2]


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_with_all_pixels_gets_its_end_marker(name: str) -> None:
    """Nothing else is changed."""
    assert finished(jpeg(name), max_pixels=MAX_PIXELS) == jpeg(name) + b"\xff\xd9"


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_with_missing_rows_is_truncated(name: str) -> None:
    """It can be cut anywhere in its last scan, also at a restart marker, or between two scans."""
    data = jpeg(name)
    scan = data.rindex(b"\xff\xda")
    restarts = [at for at in range(scan, len(data) - 8) if data[at] == 0xFF and 0xD0 <= data[at + 1] <= 0xD7]
    cuts = {scan, *range(scan + 20, len(data) - 8, max(1, (len(data) - scan) // 12)), len(data) - 8, *restarts[-3:]}

    for cut in sorted(cuts):
        with pytest.raises(ValueError, match="truncated"):
            finished(data[:cut], max_pixels=MAX_PIXELS)
        with pytest.raises(InvalidImage, match="truncated"):
            normalize(data[:cut], field="image")


@pytest.mark.parametrize("name", ["baseline", "4:2:0", "restart markers"])
def test_a_trailer_does_not_replace_missing_rows(name: str) -> None:
    """A decoder takes a trailer for pixels, but it is too short for many."""
    data = jpeg(name)
    middle = (data.rindex(b"\xff\xda") + len(data)) // 2

    with pytest.raises(ValueError, match="truncated"):
        finished(data[:middle] + VENDOR_TRAILER[:20], max_pixels=MAX_PIXELS)


def test_a_png_with_all_pixels_gets_its_end() -> None:
    """A part of the last chunk is replaced by the whole."""
    data = encode(photo(), "PNG")

    assert finished(data[:-12], max_pixels=MAX_PIXELS) == data
    assert finished(data[:-5], max_pixels=MAX_PIXELS) == data


def test_a_png_without_its_last_pixels_is_truncated() -> None:
    """It ends between two of the chunks that hold its pixels."""
    data = many_small_chunks()
    data = data[: data.rindex(b"IDAT", 0, len(data) // 2) - 4]

    with pytest.raises(ValueError, match="truncated"):
        finished(data, max_pixels=MAX_PIXELS)


def test_a_gif_with_all_frames_gets_its_end() -> None:
    """It ended behind a frame."""
    data = encode(photo().quantize(16), "GIF", save_all=True, append_images=[Image.new("P", (48, 32))])

    assert finished(data[:-1], max_pixels=MAX_PIXELS) == data


def test_an_unfinished_image_that_is_too_large_is_not_decoded() -> None:
    """So nobody knows whether it is truncated."""
    with pytest.raises(TooManyPixelsError, match="more than 0 megapixels"):
        finished(jpeg("baseline"), max_pixels=1000)


def test_an_unfinished_image_that_is_damaged_is_truncated() -> None:
    """A scan of a component that the header does not declare."""
    data = bytearray(jpeg("baseline"))
    data[data.rindex(b"\xff\xda") + 5] = 99

    with pytest.raises(ValueError, match="truncated"):
        finished(bytes(data), max_pixels=MAX_PIXELS)


def test_a_finished_image_is_sniffed_and_opened() -> None:
    """Every program can read it."""
    data = finished(jpeg("progressive"), max_pixels=MAX_PIXELS)

    assert sniff(data).width == opened(data).width == 48
