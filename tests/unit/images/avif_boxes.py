"""AVIF files that are built from boxes: Pillow writes no grids."""

import struct
from collections.abc import Sequence

from PIL import Image

from image_gateway.images.formats.isobmff import Box, boxes
from tests.unit.images.sound_images import encode

TILE = 64


def box(kind: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def full_box(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def find(data: bytes, *path: bytes) -> Box:
    """Return a box by the types of the boxes that contain it. `meta` has four bytes before its boxes."""
    found = Box(b"", 0, len(data))
    for kind in path:
        start = found.start + (4 if found.kind == b"meta" else 0)
        found = next(item for item in boxes(data, start, found.end) if item.kind == kind)
    return found


def content(data: bytes, *path: bytes) -> bytes:
    found = find(data, *path)
    return data[found.start : found.end]


def grid(image: Image.Image, *, properties: Sequence[bytes] = ()) -> bytes:
    """Return an AVIF whose image is a grid of tiles of 64x64 pixels, as cameras and large images have it.

    Args:
        image: the image; its sides are multiples of 64.
        properties: further boxes that apply to the whole image, such as a rotation.
    """
    columns, rows = image.width // TILE, image.height // TILE
    places = [(x * TILE, y * TILE, (x + 1) * TILE, (y + 1) * TILE) for y in range(rows) for x in range(columns)]
    files = [encode(image.crop(place), "AVIF", quality=95) for place in places]
    tiles = [content(file, b"mdat") for file in files]
    configuration = box(b"av1C", content(files[0], b"meta", b"iprp", b"ipco", b"av1C"))
    pixels = box(b"pixi", content(files[0], b"meta", b"iprp", b"ipco", b"pixi"))
    descriptor = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, image.width, image.height)
    ids = range(2, 2 + len(tiles))
    kinds = [(1, b"grid"), *((item, b"av01") for item in ids)]
    entries = [full_box(b"infe", struct.pack(">HH4s", item, 0, kind) + b"\0", version=2) for item, kind in kinds]
    sizes = [full_box(b"ispe", struct.pack(">II", *size)) for size in ((TILE, TILE), image.size)]
    numbers = {1: [2, 4, *range(5, 5 + len(properties))], **{item: [1, 3, 4] for item in ids}}
    associations = b"".join(
        struct.pack(">HB", item, len(indexes))
        + bytes(index | (0x80 if index == 3 or index > 4 else 0) for index in indexes)
        for item, indexes in numbers.items()
    )
    parts = [descriptor, *tiles]

    def meta(offset: int) -> bytes:
        locations = b""
        for item, part in zip((1, *ids), parts, strict=True):
            locations += struct.pack(">HHHII", item, 0, 1, offset, len(part))
            offset += len(part)
        return full_box(
            b"meta",
            full_box(b"hdlr", struct.pack(">I4s12x", 0, b"pict") + b"\0"),
            full_box(b"pitm", struct.pack(">H", 1)),
            full_box(b"iloc", struct.pack(">HH", 0x4400, len(parts)), locations),
            full_box(b"iinf", struct.pack(">H", len(entries)), *entries),
            full_box(b"iref", box(b"dimg", struct.pack(">HH", 1, len(tiles)), *(struct.pack(">H", i) for i in ids))),
            box(
                b"iprp",
                box(b"ipco", *sizes, configuration, pixels, *properties),
                full_box(b"ipma", struct.pack(">I", len(numbers)), associations),
            ),
        )

    start = box(b"ftyp", b"avif\0\0\0\0mif1avifmiaf")
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", *parts)


def with_brand(data: bytes, brand: bytes) -> bytes:
    """Return an AVIF with this major brand."""
    return data[:8] + brand + data[12:]


def with_damaged_exif(data: bytes) -> bytes:
    """Return an AVIF whose Exif data is no Exif data."""
    return data.replace(b"MM\0*", b"????").replace(b"II*\0", b"????")
