"""Images without their end marker: whether all pixels are there, which only decoding tells. This module loads Pillow.

A decoder of JPEG fills missing rows with gray and says nothing. So an image is decoded twice, with different data in
place of what may be missing. If nothing is missing, both results are the same.
"""

import hashlib
import struct

from PIL import Image

from image_gateway.images.end_markers import with_end_marker
from image_gateway.images.formats import jpeg
from image_gateway.images.opening import open_image

_STRIP_ROWS = 256
_PROGRESSIVE = (0xC2, 0xCA)
_COEFFICIENTS = 64
_FILLER = bytes(number * 73 % 251 for number in range(1, 251))
"""Data without structure and without markers, which decodes to noise."""


class TooManyPixelsError(ValueError):
    """An image has no end marker, and more pixels than are decoded to tell whether it is truncated."""


def finished(data: bytes, *, max_pixels: int) -> bytes:
    """Return a PNG, JPEG or GIF whose end marker is missing with that marker, if all of its pixels are there.

    Args:
        data: an image for which `sniff` raises `UnfinishedImage`.
        max_pixels: an image with more pixels is not decoded.

    Raises:
        TooManyPixelsError: there are more than `max_pixels`.
        ValueError: pixels are missing.
    """
    try:
        with open_image(data) as opened:
            _require_at_most(max_pixels, opened)
            if opened.format == "JPEG":
                _require_all_pixels(data)
            else:
                opened.load()
    except ValueError:
        raise
    except Exception as error:  # decoders raise exceptions of any type for damaged files
        raise ValueError("the image is truncated") from error
    return with_end_marker(data)


def _require_at_most(max_pixels: int, opened: Image.Image) -> None:
    if opened.width * opened.height > max_pixels:
        raise TooManyPixelsError(f"the image has no end marker, and more than {max_pixels // 1_000_000} megapixels")


def _require_all_pixels(data: bytes) -> None:
    segments = list(jpeg.segments(data))
    image = data[: segments[-1].end].removesuffix(b"\xff")
    if not _has_every_scan(data, segments):
        raise ValueError("the image is truncated")
    if _digest_of_pixels(image) != _digest_of_pixels(image + _continuation(data, segments)):
        raise ValueError("the image is truncated")


def _has_every_scan(data: bytes, segments: list[jpeg.Segment]) -> bool:
    """Return whether the scans contain all bits of all coefficients of all components (ITU T.81, B.2.3 and G.1.1)."""
    frame = next((segment for segment in segments if segment.is_frame_header), None)
    if frame is None:
        return False
    content = frame.content(data)
    missing_bits = {content[index]: [1] * _COEFFICIENTS for index in range(6, 6 + 3 * content[5], 3)}
    for segment in segments:
        if segment.marker != jpeg.SCAN_HEADER:
            continue
        header = segment.content(data)
        components = header[1 : 1 + 2 * header[0] : 2]
        first, last, low_bit = header[-3], header[-2], header[-1] & 15
        if frame.marker not in _PROGRESSIVE:
            first, last, low_bit = 0, _COEFFICIENTS - 1, 0
        for component in components:
            for coefficient in range(first, min(last, _COEFFICIENTS - 1) + 1):
                missing_bits[component][coefficient] = low_bit
    return not any(map(any, missing_bits.values()))


def _continuation(data: bytes, segments: list[jpeg.Segment]) -> bytes:
    """Return entropy-coded data with which a decoder would go on if rows were missing, with restart markers if used."""
    intervals = [segment.content(data) for segment in segments if segment.marker == 0xDD]
    if not intervals or not any(intervals[-1][:2]):
        return _FILLER
    scan = data[segments[-1].start : segments[-1].end] if segments[-1].marker == jpeg.SCAN_DATA else b""
    last = max((scan.rfind(struct.pack(">BB", 0xFF, 0xD0 + n)), n) for n in range(8))
    following = last[1] + 1 if last[0] >= 0 else 0
    return b"".join(_FILLER + struct.pack(">BB", 0xFF, 0xD0 + (following + n) % 8) for n in range(8)) + _FILLER


def _digest_of_pixels(data: bytes) -> bytes:
    """Decode an image, and return a digest of its pixels, so that only one decoded image is in memory at a time."""
    digest = hashlib.blake2b()
    with open_image(data) as opened:
        opened.load()
        for top in range(0, opened.height, _STRIP_ROWS):
            strip = opened.crop((0, top, opened.width, min(top + _STRIP_ROWS, opened.height)))
            digest.update(strip.tobytes())
    return digest.digest()
