"""WebP files as chunks (RFC 9649, section 2), and the two that say where an image comes from.

XMP is in the chunk `XMP `, and C2PA's manifest in the chunk `C2PA` (C2PA 2.1, A.3.5).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from image_gateway.images.formats.parts import limited

_HEADER_BYTES = 12
_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10


class Chunk(NamedTuple):
    """A chunk in a file: its type, and where it begins and ends. The end includes the padding."""

    kind: bytes
    start: int
    end: int


def chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks of a WebP file.

    Raises:
        ValueError: there are too many.
    """
    return limited(_chunks(data))


def _chunks(data: bytes) -> Iterator[Chunk]:
    position, file_end = _HEADER_BYTES, _end(data)
    while position + 8 <= file_end:
        kind, length = struct.unpack_from("<4sI", data, position)
        end = min(position + 8 + length + length % 2, file_end)
        yield Chunk(kind, position, end)
        position = end


def has_c2pa(data: bytes) -> bool:
    """Return whether the file has a C2PA manifest."""
    return any(chunk.kind == b"C2PA" for chunk in chunks(data))


def xmp(data: bytes) -> bytes | None:
    """Return the file's XMP packet; None if it has none."""
    chunk = next((chunk for chunk in chunks(data) if chunk.kind == b"XMP "), None)
    if chunk is None:
        return None
    (length,) = struct.unpack_from("<I", data, chunk.start + 4)
    return data[chunk.start + 8 : chunk.start + 8 + length]


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return the file with this XMP packet, in place of the one that it has. No other chunk's content is changed.

    Only a file in the extended format can have metadata, so one in the simple format gets that format's header.

    Raises:
        ValueError: the header of the file cannot be read.
    """
    first, *others = chunks(data)
    view = memoryview(data)
    parts: list[bytes | bytearray | memoryview] = []
    if first.kind == b"VP8X":
        header = bytearray(view[first.start : first.end])
        header[8] |= _XMP_FLAG
        parts.append(header)
    else:
        parts.append(_extended_header(data, first.kind))
        others.insert(0, first)
    for chunk in others:
        if chunk.kind != b"XMP ":
            parts += [view[chunk.start : chunk.end], b"\0" * ((chunk.end - chunk.start) % 2)]
    parts += [b"XMP ", struct.pack("<I", len(packet)), packet, b"\0" * (len(packet) % 2)]
    length = 4 + sum(len(part) for part in parts)
    return b"".join((b"RIFF", struct.pack("<I", length), b"WEBP", *parts, view[_end(data) :]))


def _end(data: bytes) -> int:
    """Return where the file ends according to its header; behind that, there may be other data."""
    return min(len(data), int.from_bytes(data[4:8], "little") + 8)


def _extended_header(data: bytes, kind: bytes) -> bytes:
    flags = _XMP_FLAG
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags |= _ALPHA_FLAG if bits >> 28 & 1 else 0
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError(f"its first chunk is {kind!r}")
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return struct.pack("<4sIB3x", b"VP8X", 10, flags) + sides
