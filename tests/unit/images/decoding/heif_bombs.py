"""HEIC and AVIF files that try to use up memory or CPU time when they are decoded."""

import io
import struct
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.unit.images.decoding.iso_media_files import box, crafted_image, grid, ispe, overlay
from tests.unit.images.sample_images import HEIC

_SIDE = 64
"""Width and height of the coded image of 72 bytes in `HEIC`."""


def _property(file: bytes, kind: bytes) -> bytes:
    at = file.index(kind) - 4
    return file[at : at + struct.unpack_from(">I", file, at)[0]]


@cache
def _avif(side: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(out, "AVIF", speed=10, quality=30)
    return out.getvalue()


def _with_size(file: bytes, width: int, height: int) -> bytes:
    """Return a file that announces another size."""
    at = file.index(b"ispe") + 8
    return file[:at] + struct.pack(">II", width, height) + file[at + 8 :]


def _tile(kind: bytes) -> tuple[bytes, bytes]:
    """Return the properties and the data of a coded image of 64 x 64 pixels."""
    if kind == b"hvc1":
        return _property(HEIC, b"hvcC"), HEIC[0x1EC : 0x1EC + 72]
    file = _avif(_SIDE)
    return _property(file, b"av1C"), file[file.index(b"mdat") + 4 :]


def _derived(kind: bytes, item: bytes, data: bytes, count: int, size: tuple[int, int]) -> bytes:
    """Return a file whose image is made of several coded images, all of which have the same data.

    Args:
        kind: the type of the coded images.
        item: the type of the image that is made of them.
        data: the data of that image.
        count: the number of coded images.
        size: the size that the image announces.
    """
    configuration, coded = _tile(kind)
    items = [(item, [(0, len(data))]), *[(kind, [(len(data), len(coded))])] * count]
    properties = [ispe(*size), ispe(_SIDE, _SIDE), configuration]
    uses = [(b"dimg", 1, range(2, count + 2))]
    return crafted_image(items, properties, [[1], *[[2, 3]] * count], uses, data + coded, _BRANDS[kind])


def _repeated_extents(kind: bytes, count: int, length: int) -> bytes:
    """Return a file whose image is `count` times the same `length` bytes."""
    configuration, coded = _tile(kind)
    data = coded.ljust(length, b"\0")
    return crafted_image(
        [(kind, [(0, length)] * count)], [ispe(_SIDE, _SIDE), configuration], [[1, 2]], [], data, _BRANDS[kind]
    )


def _itself(item: bytes, kind: bytes) -> bytes:
    """Return a file whose image is made of itself."""
    data = grid(1, 1, _SIDE, _SIDE)
    items = [(item, [(0, len(data))])]
    return crafted_image(items, [ispe(_SIDE, _SIDE)], [[1]], [(b"dimg", 1, [1])], data, _BRANDS[kind])


def _doubling(kind: bytes, levels: int) -> bytes:
    """Return a file whose image is made of two images, each of which is made of the same two images, and so on."""
    configuration, coded = _tile(kind)
    data = overlay(_SIDE, _SIDE, 2)
    items = [(b"iovl", [(0, len(data))])] * (2 * levels) + [(kind, [(len(data), len(coded))])] * 2
    uses = [
        (b"dimg", number, [2 * level + 3, 2 * level + 4])
        for level in range(levels)
        for number in (2 * level + 1, 2 * level + 2)
    ]
    used = [[1]] * (2 * levels) + [[1, 2]] * 2
    return crafted_image(items, [ispe(_SIDE, _SIDE), configuration], used, uses, data + coded, _BRANDS[kind])


def _many_items(kind: bytes, count: int) -> bytes:
    """Return a file with many images, all of which have the same data."""
    configuration, coded = _tile(kind)
    items = [(kind, [(0, len(coded))])] * count
    return crafted_image(items, [ispe(_SIDE, _SIDE), configuration], [[1, 2]] * count, [], coded, _BRANDS[kind])


_BRANDS = {b"hvc1": b"heic", b"av01": b"avif"}


def _bombs(name: str, kind: bytes, sample: Callable[[], bytes]) -> dict[str, Callable[[], bytes]]:
    """Return the files that exist as HEIC and as AVIF."""
    return {
        f"{name}: announces 50 megapixels": lambda: _with_size(sample(), 7_000, 7_000),
        f"{name}: announces 4 billion x 4 billion pixels": lambda: _with_size(sample(), 2**32 - 1, 2**32 - 1),
        f"{name}: announces no pixels": lambda: _with_size(sample(), 0, 0),
        f"{name}: grid of 256 tiles": lambda: _derived(kind, b"grid", grid(16, 16, 1_024, 1_024), 256, (1_024, 1_024)),
        f"{name}: grid that announces 10 x 10 and is 1,024 x 1,024": lambda: _derived(
            kind, b"grid", grid(16, 16, 1_024, 1_024), 256, (10, 10)
        ),
        f"{name}: grid of 961 tiles on 268 megapixels": lambda: _derived(
            kind, b"grid", grid(31, 31, 16_384, 16_384), 961, (64, 64)
        ),
        f"{name}: overlay of 2 billion x 2 billion pixels": lambda: _derived(
            kind, b"iovl", overlay(2**31 - 1, 2**31 - 1, 1), 1, (64, 64)
        ),
        f"{name}: overlay of 200 images on 4 megapixels": lambda: _derived(
            kind, b"iovl", overlay(2_000, 2_000, 200), 200, (2_000, 2_000)
        ),
        f"{name}: image made of itself": lambda: _itself(b"grid", kind),
        f"{name}: identity of itself": lambda: _itself(b"iden", kind),
        f"{name}: 2 to the power of 30 overlays": lambda: _doubling(kind, 30),
        f"{name}: 1 TB of extents": lambda: _repeated_extents(kind, 60_000, 20_000_000),
        f"{name}: 300 MB of extents": lambda: _repeated_extents(kind, 30_000, 10_000),
        f"{name}: 3,000 images": lambda: _many_items(kind, 3_000),
    }


def _larger_bombs(name: str, kind: bytes) -> dict[str, Callable[[], bytes]]:
    return {
        f"{name}: grid of 12,100 tiles": lambda: _derived(
            kind, b"grid", grid(110, 110, 7_040, 7_040), 12_100, (7_040, 7_040)
        ),
        f"{name}: overlay of 900 images on 49 megapixels": lambda: _derived(
            kind, b"iovl", overlay(7_000, 7_000, 900), 900, (7_000, 7_000)
        ),
        f"{name}: 30,000 images": lambda: _many_items(kind, 30_000),
    }


HEIC_BOMBS = _bombs("heic", b"hvc1", lambda: HEIC)
AVIF_BOMBS = {
    **_bombs("avif", b"av01", lambda: _avif(_SIDE)),
    "avif: announces 10 x 10 and is 2,048 x 2,048": lambda: _with_size(_avif(2_048), 10, 10),
    "avif: a box of 16 EB": lambda: box(b"ftyp", b"avif", bytes(4)) + struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1),
}

FULL_SIZE_HEIF_BOMBS = {
    **_larger_bombs("heic", b"hvc1"),
    **_larger_bombs("avif", b"av01"),
    "avif: announces 10 x 10 and is 12,000 x 12,000": lambda: _with_size(_avif(12_000), 10, 10),
}
