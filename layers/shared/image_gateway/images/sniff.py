"""Detection of an image's type and size from its content, and of truncated images.

Only the structure is read, and nothing is decoded, because this runs on every image from an engine.
Sources: PNG (W3C, 3rd edition, section 5), JPEG (ITU T.81, B.1 and B.2), RIFF/WebP (RFC 9649), GIF89a (appendix A), and
the ISO base media format of AVIF (ISO/IEC 23008-12, `ispe`).
"""

import struct
from dataclasses import dataclass

_TRUNCATED = "the image is truncated"
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif"}


@dataclass(frozen=True, slots=True)
class ImageType:
    """Content type and size in pixels; the size is None where the header does not contain it."""

    content_type: str
    width: int | None
    height: int | None

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return _EXTENSIONS[self.content_type]


def sniff(data: bytes) -> ImageType:
    """Return the type of an encoded image.

    Raises:
        ValueError: the data is not a PNG, JPEG, WebP, GIF or AVIF image, or it is truncated.
    """
    try:
        image_type = _read(data)
    except (struct.error, IndexError):
        raise ValueError(_TRUNCATED) from None
    if image_type.width == 0 or image_type.height == 0:
        raise ValueError("the image has no pixels")
    return image_type


def _read(data: bytes) -> ImageType:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(data)
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return _avif(data)
    raise ValueError(f"not an image of a known type: {len(data)} bytes beginning {data[:12]!r}")


def _png(data: bytes) -> ImageType:
    width, height = struct.unpack_from(">II", data, 16)
    position = 8
    while data[position + 4 : position + 8] != b"IEND":
        (length,) = struct.unpack_from(">I", data, position)
        position += length + 12
    if position + 12 > len(data):
        raise ValueError(_TRUNCATED)
    return ImageType("image/png", width, height)


def _jpeg(data: bytes) -> ImageType:
    width = height = None
    position = 2
    while True:
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker == 0xDA:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
        position += 2 + length
    # The search starts after the first scan's header, because an Exif thumbnail before it has its own end marker.
    if data.find(b"\xff\xd9", position + 2 + length) < 0:
        raise ValueError(_TRUNCATED)
    return ImageType("image/jpeg", width, height)


def _webp(data: bytes) -> ImageType:
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise ValueError(_TRUNCATED)
    chunk = data[12:16]
    if chunk == b"VP8X":
        width_low, width_high, height_low, height_high = struct.unpack_from("<HBHB", data, 24)
        width, height = 1 + width_low + (width_high << 16), 1 + height_low + (height_high << 16)
    elif chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError(f"not a WebP image: its first chunk is {chunk!r}")
    return ImageType("image/webp", width, height)


def _gif(data: bytes) -> ImageType:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _gif_colors(flags)
    while (block := data[position]) != 0x3B:
        if block == 0x21:
            position += 2
        elif block == 0x2C:
            position += 11 + _gif_colors(data[position + 9])
        else:
            raise ValueError(f"not a GIF image: it has a block of type {block:#04x}")
        while length := data[position]:
            position += 1 + length
        position += 1
    return ImageType("image/gif", width, height)


def _gif_colors(flags: int) -> int:
    """Return the length in bytes of the color table that a descriptor's flags declare."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _avif(data: bytes) -> ImageType:
    position, boxes = 0, set()
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        boxes.add(data[position + 4 : position + 8])
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
        position = position + max(length, 8) if length else len(data)
    if position > len(data) or b"mdat" not in boxes:
        raise ValueError(_TRUNCATED)
    ispe = data.find(b"ispe")
    width, height = struct.unpack_from(">II", data, ispe + 8) if ispe > 0 else (None, None)
    return ImageType("image/avif", width, height)
