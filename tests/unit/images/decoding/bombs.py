"""Files that try to use up memory or CPU time when they are decoded. Each is made when it is needed.

Those here use little CPU time, although each is of its kind. Larger ones are in `full_size_bombs`.
"""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.unit.images.crafted_png import crafted_png, png_chunk
from tests.unit.images.decoding import tiff_files as tiff
from tests.unit.images.decoding.heif_bombs import AVIF_BOMBS, HEIC_BOMBS


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


@cache
def zeros(count: int) -> bytes:
    """Return so many zeros, compressed a thousand times."""
    return zlib.compress(bytes(count), 9)


def _png(*chunks: bytes) -> bytes:
    """Return a PNG of 8x1 pixels with further chunks before its pixels."""
    return crafted_png(8, 1, *chunks, png_chunk(b"IDAT", zeros(9)))


def many_chunks(count: int) -> bytes:
    return _png(png_chunk(b"tEXt", b"a\0") * count)


def many_empty_pixel_chunks(count: int) -> bytes:
    return _png(png_chunk(b"IDAT", b"") * count)


def _color_table(inputs: int, points: int) -> bytes:
    """Return a color profile whose table announces `points` to the power of `inputs` entries, and has none."""
    table = (
        b"mft2"
        + struct.pack(">IBBBB", 0, inputs, 3, points, 0)
        + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    )
    table += struct.pack(">HH", 2, 2)
    size = 128 + 4 + 12 + len(table)
    header = struct.pack(">I4sI4s4s4s12x4s", size, b"lcms", 0x04000000, b"prtr", b"RGB ", b"Lab ", b"acsp")
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


PNG_BOMBS: dict[str, Callable[[], bytes]] = {
    "png: 50,000 x 50,000 pixels": lambda: crafted_png(50_000, 50_000, png_chunk(b"IDAT", zeros(9))),
    "png: 50 megapixels without data": lambda: crafted_png(7_000, 7_000, png_chunk(b"IDAT", zeros(9))),
    "png: 110,000 chunks": lambda: many_chunks(110_000),
    "png: 110,000 empty IDAT": lambda: many_empty_pixel_chunks(110_000),
    "png: zTXt of 100 MB": lambda: _png(png_chunk(b"zTXt", b"Comment\0\0" + zeros(100_000_000))),
    "png: iTXt of 100 MB": lambda: _png(png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros(100_000_000))),
    "png: iCCP of 100 MB": lambda: _png(png_chunk(b"iCCP", b"a\0\0" + zeros(100_000_000))),
    "png: 100 MB of pixels in a row of 8": lambda: crafted_png(8, 1, png_chunk(b"IDAT", zeros(100_000_000))),
    "png: animation of 4 billion frames": lambda: _png(png_chunk(b"acTL", struct.pack(">II", 2**32 - 1, 0))),
    "png: color table of 255^15 entries": lambda: _png(
        png_chunk(b"iCCP", b"a\0\0" + zlib.compress(_color_table(15, 255)))
    ),
}


def scans(count: int, side: int) -> bytes:
    """Return a square progressive JPEG whose last scan is repeated."""
    photo = encoded(Image.new("L", (side, side), 100), "JPEG", progressive=True, quality=90)
    last = photo.rindex(b"\xff\xda")
    return photo[:last] + photo[last:-2] * count + photo[-2:]


def _jpeg(segments: bytes, side: int = 8) -> bytes:
    """Return a JPEG with segments after its first marker."""
    return b"\xff\xd8" + segments + encoded(Image.new("RGB", (side, side)), "JPEG")[2:]


def many_segments(count: int) -> bytes:
    return _jpeg(b"\xff\xe1\0\x08Exif\0\0" * count)


def many_comments(count: int) -> bytes:
    return _jpeg(b"\xff\xfe\0\2" * count)


def _resized(photo: bytes, width: int, height: int) -> bytes:
    """Return a JPEG with another size in its header."""
    at = photo.index(b"\xff\xc0") + 5
    return photo[:at] + struct.pack(">HH", height, width) + photo[at + 4 :]


def _exif_loop() -> bytes:
    """Return EXIF data whose directories refer to themselves."""
    entries = [struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005)]
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + struct.pack("<I", 8)


JPEG_BOMBS: dict[str, Callable[[], bytes]] = {
    "jpeg: 500 scans": lambda: scans(500, 400),
    "jpeg: 20,000 scans": lambda: scans(20_000, 500),
    "jpeg: 50 megapixels without data": lambda: _resized(encoded(Image.new("RGB", (8, 8)), "JPEG"), 7_000, 7_000),
    "jpeg: 65,500 x 65,500 pixels": lambda: _resized(encoded(Image.new("RGB", (8, 8)), "JPEG"), 65_500, 65_500),
    "jpeg: 5 million fill bytes": lambda: _jpeg(b"\xff" * 5_000_000),
    "jpeg: 5 million markers without a meaning": lambda: _jpeg(b"\xff\0\xff\1" * 2_500_000),
    "jpeg: 110,000 comments": lambda: many_comments(110_000),
    "jpeg: 110,000 segments": lambda: many_segments(110_000),
    "jpeg: EXIF that refers to itself": lambda: _jpeg(
        b"\xff\xe1" + struct.pack(">H", len(_exif_loop()) + 2) + _exif_loop()
    ),
    "jpeg: color table of 255^15 entries": lambda: encoded(
        Image.new("RGB", (8, 8)), "JPEG", icc_profile=_color_table(15, 255)
    ),
}

_GIF_FRAME = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"


def many_frames(count: int) -> bytes:
    return b"GIF89a\1\0\1\0\0\0\0" + _GIF_FRAME * count + b";"


GIF_BOMBS: dict[str, Callable[[], bytes]] = {
    "gif: 65,535 x 65,535 pixels": lambda: b"GIF89a\xff\xff\xff\xff\0\0\0" + _GIF_FRAME + b";",
    "gif: a frame larger than the canvas": lambda: (
        b"GIF89a\1\0\1\0\0\0\0" + b"\x2c\0\0\0\0\xff\xff\xff\xff\0" + _GIF_FRAME[10:] + b";"
    ),
    "gif: 300,000 frames": lambda: many_frames(300_000),
    "gif: 49 megapixels without data": lambda: (
        b"GIF89a"
        + struct.pack("<HH", 7_000, 7_000)
        + b"\0\0\0"
        + b"\x2c\0\0\0\0"
        + struct.pack("<HH", 7_000, 7_000)
        + b"\0"
        + _GIF_FRAME[10:]
        + b";"
    ),
}


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _canvas(side: int, flags: int = 0) -> tuple[bytes, bytes]:
    return b"VP8X", struct.pack("<I", flags) + (side - 1).to_bytes(3, "little") * 2


def _lossless(side: int) -> bytes:
    """Return the chunk of a lossless WebP of one color with this size in its header."""
    data = encoded(Image.new("RGB", (8, 8), "red"), "WEBP", lossless=True)[20:]
    bits = struct.unpack_from("<I", data, 1)[0] & ~0xFFFFFFF | (side - 1) | (side - 1) << 14
    return data[:1] + struct.pack("<I", bits) + data[5:]


def _frame(side: int, data: bytes) -> tuple[bytes, bytes]:
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"ANMF", bytes(6) + (side - 1).to_bytes(3, "little") * 2 + b"\x0a\0\0\0" + chunk


WEBP_BOMBS: dict[str, Callable[[], bytes]] = {
    "webp: 50 megapixels of one color": lambda: _riff((b"VP8L", _lossless(7_071))),
    "webp: 16,383 x 16,383 pixels of one color": lambda: _riff((b"VP8L", _lossless(16_383))),
    "webp: canvas of 16 million x 16 million pixels": lambda: _riff(_canvas(2**24), (b"VP8L", _lossless(8))),
    "webp: canvas of 50 megapixels with a frame of 8 x 8": lambda: _riff(_canvas(7_071), (b"VP8L", _lossless(8))),
    "webp: 100,000 frames": lambda: _riff(
        _canvas(8, flags=2), (b"ANIM", bytes(6)), *[_frame(8, _lossless(8))] * 100_000
    ),
    "webp: a frame of 50 megapixels on a canvas of 8 x 8": lambda: _riff(
        _canvas(8, flags=2), (b"ANIM", bytes(6)), _frame(7_071, _lossless(7_071))
    ),
}


def _bmp(width: int, height: int, compression: int, bits: int, data: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, 0, 0)
    palette = bytes(4 * 2**bits) if bits <= 8 else b""
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def runs_of_one(side: int, count: int) -> bytes:
    """Return a square BMP whose pixels are encoded one by one."""
    return _bmp(side, side, 1, 8, b"\1\0" * count)


def only_moves(side: int, count: int) -> bytes:
    """Return a square BMP that moves and has no pixels."""
    return _bmp(side, side, 1, 8, b"\0\2\xff\xff" * count)


def longer_than_announced(count: int) -> bytes:
    """Return a BMP of 8 x 8 pixels that has more of them."""
    return _bmp(8, 8, 1, 8, b"\xff\0" * count)


def slow_image() -> bytes:
    """Return an image of 16 megapixels that may take 3 s of CPU time, and takes longer."""
    return runs_of_one(4_000, 12_000_000)


BMP_BOMBS: dict[str, Callable[[], bytes]] = {
    "bmp: 50,000 x 50,000 pixels": lambda: _bmp(50_000, 50_000, 0, 24, b""),
    "bmp: 50 megapixels without data": lambda: _bmp(7_000, 7_000, 0, 24, b""),
    "bmp: RLE of 800 x 800 pixels in runs of one": lambda: runs_of_one(800, 640_000),
    "bmp: RLE that only moves": lambda: only_moves(800, 500_000),
    "bmp: RLE of 8 x 8 pixels that goes on": lambda: longer_than_announced(500_000),
}


TIFF_BOMBS: dict[str, Callable[[], bytes]] = {
    "tiff: a tile of 46,336 x 46,336 pixels": lambda: tiff.tiled_tiff(10, 10, 46_336),
    "tiff: a deflated tile of 46,336 x 46,336 pixels": lambda: tiff.tiled_tiff(
        10, 10, 46_336, tiff.DEFLATE, zeros(100_000_000)
    ),
    "tiff: an LZMA tile of 20,000 x 20,000 pixels": lambda: tiff.tiled_tiff(10, 10, 20_000, tiff.LZMA),
    "tiff: 9 megapixels deflated": lambda: tiff.gray_tiff(
        3_000, 3_000, compression=tiff.DEFLATE, data=zeros(9_000_000)
    ),
    "tiff: 10 x 10 pixels in a strip of 500 MB": lambda: tiff.gray_tiff(
        10, 10, (tiff.ROWS_PER_STRIP, 4, 1, 50_000_000), compression=tiff.DEFLATE, data=zeros(100_000_000)
    ),
    "tiff: 65,535 samples for each pixel": lambda: tiff.gray_tiff(7_000, 7_000, (tiff.SAMPLES, 3, 1, 65_535)),
    "tiff: a tag of 4 GB": lambda: tiff.gray_tiff(10, 10, (270, 2, 2**32 - 1, 8)),
    "tiff: a directory that follows itself": lambda: tiff.crafted_tiff([(tiff.WIDTH, 4, 1, 10)], next_directory=8),
    "tiff: 100,000 x 100,000 pixels": lambda: tiff.gray_tiff(100_000, 100_000),
    "tiff: a strip for each of 50 million rows": lambda: tiff.gray_tiff(
        1, 16_384, (tiff.ROWS_PER_STRIP, 4, 1, 1), (tiff.STRIP_BYTES, 4, 2**31, 8)
    ),
}

BOMBS: dict[str, Callable[[], bytes]] = {
    **PNG_BOMBS,
    **JPEG_BOMBS,
    **GIF_BOMBS,
    **WEBP_BOMBS,
    **BMP_BOMBS,
    **TIFF_BOMBS,
    **AVIF_BOMBS,
    **HEIC_BOMBS,
}
"""All of them, by what they do."""
