"""AVIF and HEIC files as boxes (ISO/IEC 14496-12 and 23008-12): their brands, and the size of their image."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from image_gateway.images.formats.parts import limited

AVIF_BRANDS = frozenset({b"avif", b"avis"})
_MAX_META_BYTES = 1_000_000
"""The description of an image with thousands of tiles is below it; a longer one would take seconds to read."""
_C2PA_TYPE = b"\xd8\xfe\xc3\xd6\x1b\x0eH<\x92\x97X(\x87~\xc4\x81"
"""The type of C2PA's `uuid` box, D8FEC3D6-1B0E-483C-9297-5828877EC481 (C2PA 2.1, A.5.1)."""


class Box(NamedTuple):
    """A box in a file: its type, and where its content begins and ends."""

    kind: bytes
    start: int
    end: int


def is_avif(data: bytes) -> bool:
    """Return whether one of the file's brands, the major one or a compatible one, is AVIF's.

    The major brand of an AVIF can be a general one, such as `mif1` (AV1 Image File Format 1.1, section 6).
    """
    if data[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(data[:4], "big"), len(data))
    return any(data[start : start + 4] in AVIF_BRANDS for start in (8, *range(16, end - 3, 4)))


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two positions. The last one may end behind the file, if that is truncated.

    Raises:
        struct.error: the file ends within the header of a box.
        ValueError: there are too many.
    """
    return limited(_boxes(data, start, end))


def _boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    while start < end:
        length, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            header = 16
        stop = start + max(length, header) if length else end
        yield Box(kind, start + header, stop)
        start = stop


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of the primary image as it is shown, cropped and rotated; None if they are not declared.

    The first size in a file can be that of a tile: the image itself is named by the box `pitm`.
    """
    try:
        properties = _primary_properties(data, _meta(data))
    except (struct.error, LookupError, ValueError):
        return None
    size = None
    for kind, start, end in properties:
        if kind == b"ispe" and start + 12 <= end:
            size = struct.unpack_from(">II", data, start + 4)
        elif kind == b"clap" and start + 16 <= end and size:
            size = _cropped(size, *struct.unpack_from(">IIII", data, start))
        elif kind == b"irot" and start < end and size and data[start] & 1:
            size = size[::-1]
    return size


def has_c2pa(data: bytes) -> bool:
    """Return whether the file has a C2PA manifest."""
    try:
        return any(box.kind == b"uuid" and data.startswith(_C2PA_TYPE, box.start) for box in boxes(data, 0, len(data)))
    except (struct.error, ValueError):
        return False


def exif_items(data: bytes) -> list[int]:
    """Return where the types of the file's Exif items are, to hide these items from a decoder."""
    try:
        entries = _child(data, _meta(data), b"iinf")
        first = entries.start + (6 if data[entries.start] == 0 else 8)
        return [
            position
            for box in boxes(data, first, entries.end)
            if box.kind == b"infe"
            for position in [box.start + (8 if data[box.start] == 2 else 10)]
            if data.startswith(b"Exif", position, box.end)
        ]
    except (struct.error, LookupError, ValueError):
        return []


def _meta(data: bytes) -> Box:
    """Return the box that describes the images. Raises `LookupError` if there is none, or if it is too long to read."""
    meta = _child(data, Box(b"", 0, len(data)), b"meta")
    if meta.end - meta.start > _MAX_META_BYTES:
        raise LookupError(meta.kind)
    return meta._replace(start=meta.start + 4)


def _child(data: bytes, parent: Box, kind: bytes) -> Box:
    """Return the first box of a kind in another one. Raises `LookupError` if there is none."""
    for box in boxes(data, parent.start, min(parent.end, len(data))):
        if box.kind == kind:
            return box
    raise LookupError(kind)


def _primary_properties(data: bytes, meta: Box) -> list[Box]:
    """Return the properties of the primary item, in the order in which they apply."""
    primary = _child(data, meta, b"pitm")
    item_format = ">I" if data[primary.start] else ">H"
    (primary_id,) = struct.unpack_from(item_format, data, primary.start + 4)
    all_properties = _child(data, meta, b"iprp")
    container = _child(data, all_properties, b"ipco")
    properties = list(boxes(data, container.start, min(container.end, len(data))))
    for box in boxes(data, all_properties.start, min(all_properties.end, len(data))):
        if box.kind == b"ipma":
            indexes = _associations(data, box, primary_id)
            if indexes:
                return [properties[index - 1] for index in indexes if index]
    return []


def _associations(data: bytes, box: Box, item_id: int) -> list[int]:
    """Return the numbers of the properties, from 1, that a box `ipma` gives an item."""
    version, flags, count = data[box.start], data[box.start + 3], struct.unpack_from(">I", data, box.start + 4)[0]
    entry_format = ">IB" if version else ">HB"
    width = 2 if flags & 1 else 1
    position = box.start + 8
    for _ in range(count):
        entry_id, length = struct.unpack_from(entry_format, data, position)
        position += struct.calcsize(entry_format)
        if entry_id == item_id:
            mask = 0x7FFF if width == 2 else 0x7F
            ends = range(position + width, position + (length + 1) * width, width)
            return [int.from_bytes(data[end - width : end], "big") & mask for end in ends]
        position += length * width
    return []


def _cropped(size: tuple[int, int], *fractions: int) -> tuple[int, int]:
    """Return the size of a clean aperture, which is given as two fractions; the size itself if they are invalid."""
    wide, wide_of, high, high_of = fractions
    if not (wide_of and high_of):
        return size
    width, height = wide // wide_of, high // high_of
    return (width, height) if 0 < width <= size[0] and 0 < height <= size[1] else size
