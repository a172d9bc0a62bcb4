"""TIFF files that are built from tags, so that they can be malformed."""

import struct
from collections.abc import Sequence

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
NONE, LZW, DEFLATE, PACKBITS, LZMA, ZSTD = 1, 5, 8, 32773, 34925, 50000

Tag = tuple[int, int, int, int]
"""Number, type (3: 16 bits, 4: 32 bits), count and value or offset."""


def crafted_tiff(tags: Sequence[Tag], data: bytes = b"", next_directory: int = 0) -> bytes:
    """Return a little-endian TIFF whose first directory is at offset 8, followed by the data."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", next_directory) + data


def gray_tiff(width: int, height: int, *extra: Tag, compression: int = NONE, data: bytes = bytes(64)) -> bytes:
    """Return a gray TIFF of 8 bits with this size in its header. Extra tags replace those with the same number."""
    tags = {
        tag[0]: tag
        for tag in (
            (WIDTH, 4, 1, width),
            (HEIGHT, 4, 1, height),
            (BITS, 3, 1, 8),
            (COMPRESSION, 3, 1, compression),
            (PHOTOMETRIC, 3, 1, 1),
            (SAMPLES, 3, 1, 1),
            *extra,
        )
    }
    if TILE_WIDTH not in tags:
        tags = {
            ROWS_PER_STRIP: (ROWS_PER_STRIP, 4, 1, height),
            STRIP_OFFSETS: (STRIP_OFFSETS, 4, 1, 0),
            STRIP_BYTES: (STRIP_BYTES, 4, 1, len(data)),
            **tags,
        }
    start = 8 + 2 + 12 * len(tags) + 4
    placed = [
        (number, kind, count, start) if number in (STRIP_OFFSETS, TILE_OFFSETS) else (number, kind, count, value)
        for number, kind, count, value in tags.values()
    ]
    return crafted_tiff(placed, data)


def tiled_tiff(width: int, height: int, tile: int, compression: int = NONE, data: bytes = bytes(64)) -> bytes:
    """Return a gray TIFF with square tiles of this side."""
    return gray_tiff(
        width,
        height,
        (TILE_WIDTH, 4, 1, tile),
        (TILE_HEIGHT, 4, 1, tile),
        (TILE_OFFSETS, 4, 1, 0),
        (TILE_BYTES, 4, 1, len(data)),
        compression=compression,
        data=data,
    )
