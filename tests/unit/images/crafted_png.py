"""PNG files that are built from chunks, so that they can be malformed, or of kinds that Pillow does not write."""

import struct
import zlib
from collections.abc import Sequence

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
_CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def crafted_png(width: int, height: int, *chunks: bytes) -> bytes:
    """Return an 8-bit gray PNG with this size in its header, and these chunks."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def png_of_samples(
    size: tuple[int, int],
    samples: Sequence[int],
    *,
    depth: int,
    color: int,
    chunks: Sequence[bytes] = (),
    interlaced: bool = False,
) -> bytes:
    """Return a PNG with these samples, row by row, in any depth and color type that the standard allows.

    Args:
        size: width and height.
        samples: the values of all channels of all pixels.
        depth: bits of a sample.
        color: the color type.
        chunks: further chunks before the pixels, such as a palette.
        interlaced: store the rows in the seven passes of Adam7.
    """
    width, height = size
    channels = _CHANNELS[color]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced)))
    rows = b""
    for left, top, right_step, down_step in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        for y in range(top, height, down_step):
            row = [
                samples[(y * width + x) * channels + channel]
                for x in range(left, width, right_step)
                for channel in range(channels)
            ]
            rows += b"\0" + _packed(row, depth) if row else b""
    pixels = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + png_chunk(b"IEND", b"")


def _packed(row: Sequence[int], depth: int) -> bytes:
    bits = "".join(f"{sample:0{depth}b}" for sample in row)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
