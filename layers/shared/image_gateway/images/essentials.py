"""What decoding needs of a file: pixels, colors and orientation. Everything else is left out before it is decoded.

Decoders give up on metadata that is damaged, too long or unknown to them, although every pixel is there. What is left
out cannot stop them: texts, comments, previews, further frames, what is behind the image, and each part with a wrong
checksum. Formats that are not rewritten here are decoded as they are.
"""

import struct
from typing import NamedTuple

from image_gateway.images.formats import isobmff, jpeg, png

MAX_PROFILE_BYTES = 16_000_000
"""Longest color profile in bytes; a longer one is ignored. A JPEG cannot hold more either."""

_MAX_TEXT_BYTES = 1_000_000
_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_PNG_METADATA = (b"tRNS", b"iCCP", b"eXIf")
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATION_KEYWORDS = (png.XMP_KEYWORD, b"Raw profile type exif")
_MIN_JFIF_BYTES, _MIN_ADOBE_BYTES, _MIN_PROFILE_BYTES = 14, 12, 15
_JPEG_LEFT_OUT = frozenset({*range(0xE0, 0xF0), 0xFE, jpeg.END_MARKER})
"""Application data, comments, and the end marker, which is added in any case."""
_PILLOW_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")


class Essentials(NamedTuple):
    """A file without what decoding does not need.

    Attributes:
        data: the file.
        profile: the ICC profile that was taken out of it; None if it had none, or if it is still in `data`.
    """

    data: bytes
    profile: bytes | None = None


def essentials(data: bytes) -> Essentials:
    """Return what decoding needs of an encoded image. Data that is not an image is returned as it is.

    Missing end markers are added, so this does not tell whether an image is complete: `sniff` does.
    """
    if data.startswith(png.SIGNATURE):
        return _png(data)
    if data.startswith(jpeg.START):
        return Essentials(_jpeg(data))
    if isobmff.is_avif(data):
        return Essentials(_avif(data))
    return Essentials(data)


def _png(data: bytes) -> Essentials:
    view = memoryview(data)
    parts: list[bytes | memoryview] = [png.SIGNATURE]
    profile, kind = None, b""
    keywords = set(_ORIENTATION_KEYWORDS)
    for chunk in png.chunks(data):
        kind = chunk.kind
        if kind in _PNG_PIXELS:
            parts.append(view[chunk.start : chunk.end])
        elif not _may_be_needed(chunk, data, keywords) or not chunk.is_intact(data):
            continue
        elif kind == b"iCCP":
            profile = profile or _png_profile(chunk.content(data))
        elif kind == b"tRNS":
            content = _transparency(chunk.content(data), bit_depth=data[24], color_type=data[25])
            parts.append(png.encoded_chunk(kind, content) if content else b"")
        elif kind == b"eXIf":
            parts.append(view[chunk.start : chunk.end])
        elif _is_short(chunk, data):
            keywords.remove(_keyword(chunk, data))
            parts.append(view[chunk.start : chunk.end])
    if kind != b"IEND":
        parts.append(png.encoded_chunk(b"IEND", b""))
    return Essentials(b"".join(parts), profile)


def _may_be_needed(chunk: png.Chunk, data: bytes, keywords: set[bytes]) -> bool:
    if chunk.kind in _PNG_TEXTS:
        return _keyword(chunk, data) in keywords
    return chunk.kind in _PNG_METADATA


def _png_profile(content: bytes) -> bytes | None:
    _name, _, rest = content.partition(b"\0")
    return png.inflated(rest[1:], MAX_PROFILE_BYTES) if rest.startswith(b"\0") else None


def _transparency(content: bytes, *, bit_depth: int, color_type: int) -> bytes:
    """Return the content of `tRNS` for samples of the depth that Pillow decodes to; nothing if it is malformed.

    Pillow compares the declared color, which is in the file's depth, with decoded samples of 8 bits. Only grays of
    16 bits keep their depth.
    """
    if color_type == 0 and bit_depth in (2, 4) and len(content) >= 2:
        largest = (1 << bit_depth) - 1
        return struct.pack(">H", (content[1] & largest) * 255 // largest)
    if color_type == 2 and bit_depth == 16 and len(content) >= 6:
        return bytes((0, content[0], 0, content[2], 0, content[4]))
    return content if len(content) >= {0: 2, 2: 6}.get(color_type, 1) else b""


def _keyword(chunk: png.Chunk, data: bytes) -> bytes:
    end = data.find(b"\0", chunk.start + 8, min(chunk.end - 4, chunk.start + 8 + 80))
    return data[chunk.start + 8 : end] if end >= 0 else b""


def _is_short(chunk: png.Chunk, data: bytes) -> bool:
    """Return whether a text can be read, and is not longer than what Pillow accepts."""
    if chunk.end - chunk.start > _MAX_TEXT_BYTES:
        return False
    content = chunk.content(data)
    if chunk.kind == b"zTXt":
        return png.inflated(content.partition(b"\0")[2][1:], _MAX_TEXT_BYTES) is not None
    try:
        return chunk.kind == b"tEXt" or len(png.international_text(content)) <= _MAX_TEXT_BYTES
    except ValueError:
        return False


def _jpeg(data: bytes) -> bytes:
    view = memoryview(data)
    parts: list[bytes | memoryview] = [jpeg.START]
    parts += [view[segment.start : segment.end] for segment in jpeg.segments(data) if _is_needed(segment, data)]
    return b"".join((*parts, jpeg.END))


def _is_needed(segment: jpeg.Segment, data: bytes) -> bool:
    """Return whether a segment of a JPEG has pixels, says how to read them, or may have the orientation."""
    marker, content_bytes = segment.marker, segment.end - segment.start - 4
    if marker == 0xE0:
        return content_bytes >= _MIN_JFIF_BYTES and segment.starts(data, b"JFIF\0")
    if marker == 0xE1:
        return segment.starts(data, jpeg.EXIF) or segment.starts(data, jpeg.XMP)
    if marker == 0xE2:
        return content_bytes >= _MIN_PROFILE_BYTES and segment.starts(data, b"ICC_PROFILE\0")
    if marker == 0xEE:
        return content_bytes >= _MIN_ADOBE_BYTES and segment.starts(data, b"Adobe")
    return marker not in _JPEG_LEFT_OUT


def _avif(data: bytes) -> bytes:
    """Return an AVIF under a brand that Pillow knows and without Exif data, whose orientation AVIF ignores."""
    items = isobmff.exif_items(data)
    brand = data[8:12]
    if not items and brand in _PILLOW_AVIF_BRANDS:
        return data
    changed = bytearray(data)
    if brand not in _PILLOW_AVIF_BRANDS:
        changed[8:12] = b"avif"
    for position in items:
        changed[position : position + 4] = b"none"
    return bytes(changed)
