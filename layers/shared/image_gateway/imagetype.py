"""What an encoded picture is, told by its bytes: type, size in pixels, and whether all of it is there.

Only headers and trailers are read, nothing is decoded: this runs on every picture an engine answers.
Sources: PNG (W3C, 3rd edition, section 5), JPEG (ITU T.81, B.1 and B.2), RIFF/WebP (RFC 9649), GIF89a, and the
ISO base media format of AVIF (ISO/IEC 23008-12, `ispe`).
"""

import struct
from dataclasses import dataclass

_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif"}


@dataclass(frozen=True, slots=True)
class ImageType:
    """Content type and size in pixels; sizes are None where the header does not tell."""

    content_type: str
    width: int | None
    height: int | None

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return _EXTENSIONS[self.content_type]


def sniff(data: bytes) -> ImageType:
    """Tell what `data` is.

    Raises:
        ValueError: it is no PNG, JPEG, WebP, GIF or AVIF picture, or it ends before its end.
    """
    try:
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
    except (struct.error, IndexError):
        raise ValueError("the picture is truncated") from None
    raise ValueError(f"not a picture of a known type: {len(data)} bytes beginning {data[:12]!r}")


def _png(data: bytes) -> ImageType:
    width, height = struct.unpack_from(">II", data, 16)
    position = 8
    while data[position + 4 : position + 8] != b"IEND":
        (length,) = struct.unpack_from(">I", data, position)
        position += length + 12
    return ImageType("image/png", width, height)


def _jpeg(data: bytes) -> ImageType:
    if data.rfind(b"\xff\xd9") < 0:
        raise ValueError("the picture is truncated")
    position = 2
    while True:
        marker = data[position + 1]
        if data[position] != 0xFF or marker == 0xFF:
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return ImageType("image/jpeg", width, height)
        (length,) = struct.unpack_from(">H", data, position + 2)
        position += 2 + length


def _webp(data: bytes) -> ImageType:
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise ValueError("the picture is truncated")
    kind = data[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return ImageType("image/webp", width, height)


def _gif(data: bytes) -> ImageType:
    width, height = struct.unpack_from("<HH", data, 6)
    if b"\x3b" not in data[-16:]:
        raise ValueError("the picture is truncated")
    return ImageType("image/gif", width, height)


def _avif(data: bytes) -> ImageType:
    position = 0
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
        if length == 0:
            break
        position += max(length, 8)
    if position > len(data):
        raise ValueError("the picture is truncated")
    found = data.find(b"ispe")
    width, height = struct.unpack_from(">II", data, found + 8) if found > 0 else (None, None)
    return ImageType("image/avif", width, height)
