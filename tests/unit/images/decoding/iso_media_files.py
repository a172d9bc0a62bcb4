"""HEIC and AVIF files that are built from boxes (ISO/IEC 14496-12 and 23008-12), so that they can be malformed."""

import struct
from collections.abc import Sequence

Extent = tuple[int, int]
"""Offset in `idat` and length."""


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def ispe(width: int, height: int) -> bytes:
    """Return the property with an item's size."""
    return full_box(b"ispe", 0, 0, struct.pack(">II", width, height))


def grid(rows: int, columns: int, width: int, height: int) -> bytes:
    """Return the data of an item that is a grid of tiles."""
    return struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)


def overlay(width: int, height: int, images: int) -> bytes:
    """Return the data of an item that is a canvas with images on it."""
    return struct.pack(">BB4HII", 0, 1, 0, 0, 0, 0, width, height) + struct.pack(">ii", 0, 0) * images


def crafted_image(
    items: Sequence[tuple[bytes, Sequence[Extent]]],
    properties: Sequence[bytes],
    associations: Sequence[Sequence[int]],
    references: Sequence[tuple[bytes, int, Sequence[int]]],
    data: bytes,
    brand: bytes = b"heic",
) -> bytes:
    """Return a file whose items are in the box `idat`. The first item, with id 1, is the image.

    Args:
        items: the type of each item, and where its data is.
        properties: the boxes in `ipco`.
        associations: for each item, the numbers of its properties, from 1.
        references: type, id of the item that refers, ids of the items that it refers to.
        data: the content of `idat`.
        brand: the brand of the file.
    """
    infos = [
        full_box(b"infe", 2, 0, struct.pack(">HH4s", number, 0, kind), b"\0")
        for number, (kind, _) in enumerate(items, start=1)
    ]
    locations = [
        struct.pack(">HHHH", number, 1, 0, len(extents)) + b"".join(struct.pack(">II", *extent) for extent in extents)
        for number, (_, extents) in enumerate(items, start=1)
    ]
    assigned = [
        struct.pack(">HB", number, len(used)) + bytes(used) for number, used in enumerate(associations, start=1)
    ]
    refs = [
        box(kind, struct.pack(">HH", source, len(targets)) + b"".join(struct.pack(">H", t) for t in targets))
        for kind, source, targets in references
    ]
    meta = full_box(
        b"meta",
        0,
        0,
        full_box(b"hdlr", 0, 0, struct.pack(">I4s12xB", 0, b"pict", 0)),
        full_box(b"pitm", 0, 0, struct.pack(">H", 1)),
        full_box(b"iloc", 1, 0, struct.pack(">BBH", 0x44, 0, len(items)), *locations),
        full_box(b"iinf", 0, 0, struct.pack(">H", len(items)), *infos),
        *([full_box(b"iref", 0, 0, *refs)] if refs else []),
        box(b"iprp", box(b"ipco", *properties), full_box(b"ipma", 0, 0, struct.pack(">I", len(assigned)), *assigned)),
        box(b"idat", data),
    )
    return box(b"ftyp", brand, bytes(4), b"mif1", brand) + meta + box(b"mdat")


def coded_image(file: bytes, kind: bytes) -> tuple[bytes, bytes]:
    """Return the configuration property of a file (`hvcC` or `av1C`), and the data of its first extent in `iloc`."""
    at = file.index(kind) - 4
    configuration = file[at : at + struct.unpack_from(">I", file, at)[0]]
    mdat = file.index(b"mdat") + 4
    return configuration, file[mdat:]
