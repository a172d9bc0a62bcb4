"""Detection of an image's type and size from its content, and of truncated images.

Only the structure is read, and nothing is decoded, because this runs on every image from an engine.
Sources: PNG (W3C, 3rd edition, section 5), JPEG (ITU T.81, B.1 and B.2), RIFF/WebP (RFC 9649), GIF89a (appendix A), and
the ISO base media format of AVIF (ISO/IEC 23008-12, `ispe`).
"""

import struct
from dataclasses import dataclass

from image_gateway.images.formats import isobmff, jpeg, png

_TRUNCATED = "the image is truncated"
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "image/avif": "avif"}
CONTENT_TYPES = {extension: content_type for content_type, extension in _EXTENSIONS.items()}
"""The content types by their file name extensions."""


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


class UnfinishedImage(ValueError):
    """The end marker is missing, but perhaps no pixels are. Only decoding tells: `unfinished.finished` does that."""

    def __init__(self) -> None:
        super().__init__(_TRUNCATED)


def sniff(data: bytes) -> ImageType:
    """Return the type of an encoded image.

    Raises:
        UnfinishedImage: the end marker of a PNG, JPEG or GIF image is missing.
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
    if data.startswith(png.SIGNATURE):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif(data)
    if isobmff.is_avif(data):
        return _avif(data)
    raise ValueError(f"not an image of a known type: {len(data)} bytes beginning {data[:12]!r}")


def _png(data: bytes) -> ImageType:
    width, height = struct.unpack_from(">II", data, 16)
    last, has_pixels = png.Chunk(b"", 0, 0), False
    for last in png.chunks(data):
        has_pixels = has_pixels or last.kind == b"IDAT"
    if last.kind != b"IEND":
        is_cut_in_pixels = data[last.end + 4 : last.end + 8] == b"IDAT"
        raise UnfinishedImage if has_pixels and not is_cut_in_pixels else ValueError(_TRUNCATED)
    return ImageType("image/png", width, height)


def _jpeg(data: bytes) -> ImageType:
    width = height = None
    marker, has_scan = 0, False
    for segment in jpeg.segments(data):
        marker = segment.marker
        if segment.is_frame_header:
            height, width = struct.unpack_from(">HH", data, segment.start + 5)
        has_scan = has_scan or marker == jpeg.SCAN_DATA
    if marker != jpeg.END_MARKER or not has_scan:
        raise UnfinishedImage if has_scan else ValueError(_TRUNCATED)
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
    position, has_frame = 13 + _gif_colors(flags), False
    while (block := data[position : position + 1]) != b";":
        if not block and has_frame:
            raise UnfinishedImage
        if block == b"\0":  # some encoders pad blocks
            position += 1
            continue
        if block == b"!":
            position += 2
        elif block == b",":
            position += 11 + _gif_colors(data[position + 9])
            has_frame = True
        else:
            raise ValueError(f"not a GIF image: it has a block of type 0x{block.hex()}" if block else _TRUNCATED)
        while length := data[position]:
            position += 1 + length
        position += 1
    return ImageType("image/gif", width, height)


def _gif_colors(flags: int) -> int:
    """Return the length in bytes of the color table that a descriptor's flags declare."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _avif(data: bytes) -> ImageType:
    end, kinds = 0, set[bytes]()
    for box in isobmff.boxes(data, 0, len(data)):
        kinds.add(box.kind)
        end = box.end
    if end > len(data) or b"mdat" not in kinds:
        raise ValueError(_TRUNCATED)
    width, height = isobmff.image_size(data) or (None, None)
    return ImageType("image/avif", width, height)
