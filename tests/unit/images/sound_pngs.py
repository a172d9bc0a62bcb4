"""Sound PNG files: every depth and color type, and metadata that decoders give up on."""

import random
import struct
import zlib
from collections.abc import Callable, Sequence

from PIL import Image, ImageChops, ImageCms, PngImagePlugin

from tests.unit.images.crafted_png import GRAY, GRAY_ALPHA, PALETTE, RGB, RGBA, png_chunk, png_of_samples
from tests.unit.images.sample_images import exif_tags
from tests.unit.images.sound_images import SIZE, SoundImage, encode, gray, photo, with_alpha

_HEADER_END = 8 + 25
_MEGABYTES = zlib.compress(bytes(5_000_000))


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """Insert chunks behind the header."""
    return data[:_HEADER_END] + b"".join(chunks) + data[_HEADER_END:]


def noise(length: int) -> bytes:
    """Return bytes that cannot be compressed."""
    return random.Random(length).randbytes(length)


def profile(padding: int = 0) -> bytes:
    """Return an sRGB profile with red and blue exchanged, and that many bytes that mean nothing behind it."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace(b"rXYZ", b"tmpX", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmpX", b"bXYZ", 1)
    data += noise(padding) if padding else b""
    return struct.pack(">I", len(data)) + data[4:]


def exchanged(image: Image.Image) -> Image.Image:
    """Return an image whose pixels, according to `profile`, are those of `image`."""
    red, green, blue = image.split()
    return Image.merge("RGB", (blue, green, red))


def of_samples(depth: int, color: int, *chunks: bytes, interlaced: bool = False) -> Callable[[], bytes]:
    """Return a maker of a PNG with the pixels of `photo` in this depth and color type."""

    def make() -> bytes:
        image = {GRAY: gray(), RGB: photo(), GRAY_ALPHA: with_alpha().convert("LA"), RGBA: with_alpha()}[color]
        samples: Sequence[int] = [_scaled(sample, depth) for sample in image.tobytes()]
        return png_of_samples(SIZE, samples, depth=depth, color=color, chunks=chunks, interlaced=interlaced)

    return make


def _scaled(sample: int, depth: int) -> int:
    return sample * 257 if depth == 16 else sample >> 8 - depth


def of_depth(depth: int, transparent: int | None = None) -> Callable[[], Image.Image]:
    """Return a maker of the gray image that samples of that depth stand for; one value may be transparent."""

    def make() -> Image.Image:
        largest = (1 << min(depth, 8)) - 1
        reduced = gray().point(lambda value: (value >> 8 - min(depth, 8)) * 255 // largest)
        if transparent is None:
            return reduced
        alpha = reduced.point(lambda value: 0 if value == transparent else 255)
        return Image.merge("LA", (reduced, alpha))

    return make


def palette(depth: int) -> bytes:
    samples = [(x // 8 + y // 8) % (1 << depth) for y in range(SIZE[1]) for x in range(SIZE[0])]
    colors = bytes(value for n in range(1 << depth) for value in (n * 5 % 256, 255 - n % 256, n * 11 % 256))
    return png_of_samples(SIZE, samples, depth=depth, color=PALETTE, chunks=[png_chunk(b"PLTE", colors)])


def palette_pixels(depth: int) -> Image.Image:
    image = Image.new("RGB", SIZE)
    for y in range(SIZE[1]):
        for x in range(SIZE[0]):
            n = (x // 8 + y // 8) % (1 << depth)
            image.putpixel((x, y), (n * 5 % 256, 255 - n % 256, n * 11 % 256))
    return image


def transparent_where(color: tuple[int, int, int]) -> Image.Image:
    differences = ImageChops.difference(photo(), Image.new("RGB", SIZE, color)).split()
    alpha = ImageChops.lighter(ImageChops.lighter(differences[0], differences[1]), differences[2])
    image = photo()
    image.putalpha(alpha.point(lambda value: 255 if value else 0))
    return image


def animated(*, damaged: bool = False) -> bytes:
    data = encode(photo(), "PNG", save_all=True, append_images=[Image.new("RGB", SIZE)], duration=100)
    if damaged:  # two frames with the same number
        data = data.replace(b"fcTL\0\0\0\1", b"fcTL\0\0\0\0")
    return data


def wrong_checksum(kind: bytes, content: bytes) -> bytes:
    return png_chunk(kind, content)[:-4] + b"\0\0\0\0"


def many_small_chunks() -> bytes:
    data = encode(photo(), "PNG")
    start = data.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", data, start)
    pixels = data[start + 8 : start + 8 + length]
    pieces = [pixels[at : at + 7] for at in range(0, length, 7)]
    return data[:start] + b"".join(png_chunk(b"IDAT", piece) for piece in (b"", *pieces)) + data[start + 12 + length :]


def raw_exif_profile(orientation: int) -> PngImagePlugin.PngInfo:
    """Return EXIF data as ImageMagick writes it into texts."""
    exif = exif_tags(orientation)
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n    {len(exif)}\n{exif.hex()}\n", zip=True)
    return text


def with_texts(*chunks: bytes) -> Callable[[], bytes]:
    return lambda: with_chunks(encode(photo(), "PNG"), *chunks)


TEXTS: dict[str, Callable[[], bytes]] = {
    "zTXt of 5 MB": with_texts(png_chunk(b"zTXt", b"Comment\0\0" + _MEGABYTES)),
    "iTXt of 5 MB": with_texts(png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + _MEGABYTES)),
    "XMP of 5 MB": with_texts(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + _MEGABYTES)),
    "texts of 90 MB": with_texts(*[png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(900_000)))] * 100),
    "text behind the pixels": lambda: (
        encode(photo(), "PNG")[:-12] + png_chunk(b"zTXt", b"Comment\0\0" + _MEGABYTES) + png_chunk(b"IEND", b"")
    ),
    "text with an unknown compression": with_texts(png_chunk(b"zTXt", b"Comment\0\7abc")),
    "XMP with damaged compression": with_texts(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0abc")),
    "text with a wrong checksum": with_texts(wrong_checksum(b"tEXt", b"Comment\0abc")),
    "short pHYs, gAMA, cHRM and tRNS": with_texts(
        *(png_chunk(kind, b"") for kind in (b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"tRNS"))
    ),
    "private chunk with a strange name": with_texts(png_chunk(b"a+b-", b"abc")),
    "C2PA manifest": with_texts(png_chunk(b"caBX", b"\0\0\0\x10jumb\0\0\0\x08jumd")),
    "damaged EXIF": with_texts(png_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff")),
    "EXIF that is not EXIF": with_texts(png_chunk(b"eXIf", b"nothing")),
    "damaged profile": with_texts(png_chunk(b"iCCP", b"name\0\0abc")),
    "profile with an unknown compression": with_texts(png_chunk(b"iCCP", b"name\0\7abc")),
    "profile of 20 MB": with_texts(png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(20_000_000)))),
    "data behind the image": lambda: encode(photo(), "PNG") + b"<!-- saved by an editor -->",
    "no end marker": lambda: encode(photo(), "PNG")[:-12],
    "half an end marker": lambda: encode(photo(), "PNG")[:-6],
    "animated": animated,
    "animated, frames out of order": lambda: animated(damaged=True),
    "many small chunks": many_small_chunks,
}

SOUND_PNGS: dict[str, SoundImage] = {
    **{f"png, {name}": SoundImage(make, photo) for name, make in TEXTS.items()},
    **{f"png, gray of {depth} bits": SoundImage(of_samples(depth, GRAY), of_depth(depth)) for depth in (1, 2, 4, 8)},
    "png, gray of 16 bits": SoundImage(of_samples(16, GRAY), gray, 1),
    "png, gray of 16 bits, one of them transparent": SoundImage(
        of_samples(16, GRAY, png_chunk(b"tRNS", struct.pack(">H", 100 * 257))), of_depth(8, 100), 1
    ),
    **{
        f"png, gray of {depth} bits, one of them transparent": SoundImage(
            of_samples(depth, GRAY, png_chunk(b"tRNS", struct.pack(">H", value))),
            of_depth(depth, value * 255 // ((1 << depth) - 1)),
        )
        for depth, value in ((1, 1), (2, 2), (4, 5), (8, 100))
    },
    "png, color of 16 bits": SoundImage(of_samples(16, RGB), photo),
    "png, color of 16 bits, one of them transparent": SoundImage(
        of_samples(16, RGB, png_chunk(b"tRNS", struct.pack(">3H", 250 * 257, 10 * 257, 10 * 257))),
        lambda: transparent_where((250, 10, 10)),
    ),
    "png, one color transparent": SoundImage(
        lambda: encode(photo(), "PNG", transparency=(250, 10, 10)), lambda: transparent_where((250, 10, 10))
    ),
    "png, gray and alpha": SoundImage(of_samples(8, GRAY_ALPHA), lambda: with_alpha().convert("LA")),
    "png, gray and alpha of 16 bits": SoundImage(of_samples(16, GRAY_ALPHA), lambda: with_alpha().convert("LA")),
    "png, color and alpha": SoundImage(of_samples(8, RGBA), with_alpha),
    "png, color and alpha of 16 bits": SoundImage(of_samples(16, RGBA), with_alpha),
    **{
        f"png, palette of {depth} bits": SoundImage(
            lambda depth=depth: palette(depth),  # type: ignore[misc]  # bound now
            lambda depth=depth: palette_pixels(depth),  # type: ignore[misc]
        )
        for depth in (1, 2, 4, 8)
    },
    "png, palette with alpha": SoundImage(
        lambda: encode(with_alpha().quantize(16), "PNG"), lambda: with_alpha().quantize(16).convert("RGBA")
    ),
    "png, interlaced": SoundImage(of_samples(8, RGB, interlaced=True), photo),
    "png, interlaced gray of 1 bit": SoundImage(of_samples(1, GRAY, interlaced=True), of_depth(1)),
    "png, profile of 3 MB": SoundImage(
        lambda: encode(exchanged(photo()), "PNG", icc_profile=profile(3_000_000)), photo, 2
    ),
    "png, small profile": SoundImage(lambda: encode(exchanged(photo()), "PNG", icc_profile=profile()), photo, 2),
    "png, orientation in EXIF": SoundImage(
        lambda: encode(photo(), "PNG", exif=exif_tags(6)), lambda: photo().transpose(Image.Transpose.ROTATE_270)
    ),
    "png, orientation in a text of ImageMagick": SoundImage(
        lambda: encode(photo(), "PNG", pnginfo=raw_exif_profile(6)),
        lambda: photo().transpose(Image.Transpose.ROTATE_270),
    ),
}
