"""PNG files as chunks (W3C, 3rd edition, section 5), and the two that say where an image comes from.

XMP is in an `iTXt` chunk with the keyword `XML:com.adobe.xmp` (XMP, part 3, 1.1.5), C2PA's manifest in a `caBX` chunk
(C2PA 2.1, A.3.2).
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from image_gateway.images.formats.parts import limited

SIGNATURE = b"\x89PNG\r\n\x1a\n"

XMP_KEYWORD = b"XML:com.adobe.xmp"
_MAX_TEXT_BYTES = 1_000_000
"""Longest text that is unpacked, in bytes. It is Pillow's limit too."""


class Chunk(NamedTuple):
    """A chunk in a file: its type, and where it begins (with its length) and ends (after its checksum)."""

    kind: bytes
    start: int
    end: int

    def content(self, data: bytes) -> bytes:
        """Return the chunk's content from its file."""
        return data[self.start + 8 : self.end - 4]

    def is_intact(self, data: bytes) -> bool:
        """Return whether the content has the checksum that the chunk declares."""
        checksum = int.from_bytes(data[self.end - 4 : self.end], "big")
        return zlib.crc32(memoryview(data)[self.start + 4 : self.end - 4]) == checksum


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the complete chunks of a PNG file, up to and including `IEND`.

    Raises:
        ValueError: there are too many.
    """
    return limited(_chunks(data))


def _chunks(data: bytes) -> Iterator[Chunk]:
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND" and position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            return
        yield Chunk(kind, position, end)
        position = end


def encoded_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk as it is in a file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def has_c2pa(data: bytes) -> bool:
    """Return whether the file has a C2PA manifest."""
    return any(chunk.kind == b"caBX" for chunk in chunks(data))


def xmp(data: bytes) -> bytes | None:
    """Return the file's XMP packet; None if it has none.

    Raises:
        ValueError: there is one, but it cannot be read.
    """
    chunk = _xmp_chunk(data)
    return None if chunk is None else international_text(chunk.content(data))


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return the file with this XMP packet, in place of the one that it has. Nothing else is changed."""
    text = encoded_chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + packet)
    old = _xmp_chunk(data)
    header = next(chunks(data), None)
    if header is None:
        raise ValueError("it has no header")
    # Behind the header, because some readers ignore text behind the pixels.
    start, end = (header.end, header.end) if old is None else (old.start, old.end)
    return b"".join((memoryview(data)[:start], text, memoryview(data)[end:]))


def international_text(content: bytes) -> bytes:
    """Return the text of an `iTXt` chunk.

    Raises:
        ValueError: the content is malformed, damaged, or longer than a megabyte.
    """
    try:
        _keyword, rest = content.split(b"\0", 1)
        is_compressed, method = rest[0], rest[1]
        _language, _translated, text = rest[2:].split(b"\0", 2)
    except IndexError:
        raise ValueError("the text is malformed") from None
    if not is_compressed:
        return text
    unpacked = None if method else inflated(text, _MAX_TEXT_BYTES)
    if unpacked is None:
        raise ValueError("the text cannot be unpacked")
    return unpacked


def inflated(packed: bytes, max_bytes: int) -> bytes | None:
    """Return zlib data unpacked; None if it is damaged, or longer than `max_bytes`."""
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, max_bytes)
    except zlib.error:
        return None
    return data if inflater.eof else None


def _xmp_chunk(data: bytes) -> Chunk | None:
    keyword = XMP_KEYWORD + b"\0"
    return next(
        (chunk for chunk in chunks(data) if chunk.kind == b"iTXt" and data.startswith(keyword, chunk.start + 8)), None
    )
