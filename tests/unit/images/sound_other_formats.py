"""Sound WebP, GIF, AVIF, HEIC, BMP and TIFF files."""

import struct
from collections.abc import Callable
from typing import Any

from PIL import Image

from tests.unit.images import avif_boxes
from tests.unit.images.sample_images import HEIC, exif_tags
from tests.unit.images.sound_images import SIZE, SoundImage, encode, gray, photo, with_alpha
from tests.unit.images.sound_pngs import exchanged, profile

BROKEN_EXIF = b"Exif\0\0MM\0*\xff\xff\xff\xff"
BLACK = Image.new("RGB", SIZE)


def webp(image: Image.Image | None = None, **options: Any) -> bytes:
    return encode(image or photo(), "WEBP", **{"lossless": True, "exact": True, **options})


def webp_with_chunk(kind: bytes, content: bytes) -> bytes:
    data = webp(exif=exif_tags())
    data += struct.pack("<4sI", kind, len(content)) + content
    return b"RIFF" + struct.pack("<I", len(data) - 8) + data[8:]


def gif(image: Image.Image | None = None, **options: Any) -> bytes:
    return encode(image or photo().quantize(64), "GIF", **options)


def reduced() -> Image.Image:
    return photo().quantize(64).convert("RGB")


def transparent() -> Image.Image:
    image = photo().quantize(64)
    colors = image.convert("RGBA")
    colors.putalpha(image.point(lambda index: 255 if index else 0, "L"))
    return colors


def tiff(image: Image.Image, **options: Any) -> Callable[[], bytes]:
    return lambda: encode(image, "TIFF", **options)


def tiles() -> Image.Image:
    """Return an image of 2x1 tiles of AVIF."""
    return photo().resize((2 * avif_boxes.TILE, avif_boxes.TILE), Image.Resampling.BICUBIC)


def rotated_grid() -> bytes:
    return avif_boxes.grid(tiles(), properties=[avif_boxes.box(b"irot", b"\1")])


def avif(image: Image.Image | None = None, **options: Any) -> bytes:
    return encode(image or photo(), "AVIF", **{"quality": 97, "subsampling": "4:4:4", **options})


def heic_pixels() -> Image.Image:
    """Return about what `HEIC` shows: red above blue."""
    image = Image.new("RGB", (32, 64), (220, 30, 30))
    image.paste((30, 30, 220), (0, 32, 32, 64))
    return image


SOUND_WEBPS: dict[str, SoundImage] = {
    "webp, lossless": SoundImage(webp, photo),
    "webp, lossy": SoundImage(lambda: webp(lossless=False, quality=98), photo, 12),
    "webp, alpha": SoundImage(lambda: webp(with_alpha()), with_alpha),
    "webp, lossy alpha": SoundImage(lambda: webp(with_alpha(), lossless=False, quality=98), with_alpha, 14),
    "webp, animated": SoundImage(lambda: webp(save_all=True, append_images=[BLACK]), photo),
    "webp, profile": SoundImage(lambda: webp(exchanged(photo()), icc_profile=profile(100_000)), photo, 2),
    "webp, damaged EXIF": SoundImage(lambda: webp(exif=BROKEN_EXIF), photo),
    "webp, unknown chunk": SoundImage(lambda: webp_with_chunk(b"what", b"abcd"), photo),
    "webp, C2PA manifest": SoundImage(lambda: webp_with_chunk(b"C2PA", b"jumb"), photo),
    "webp, data behind the image": SoundImage(lambda: webp() + b"trailer", photo),
    "webp, orientation": SoundImage(
        lambda: webp(exif=exif_tags(3)), lambda: photo().transpose(Image.Transpose.ROTATE_180)
    ),
}

SOUND_GIFS: dict[str, SoundImage] = {
    "gif": SoundImage(gif, reduced),
    "gif, interlaced": SoundImage(lambda: gif(interlace=1), reduced),
    "gif, not interlaced": SoundImage(lambda: gif(interlace=0), reduced),
    "gif, transparent color": SoundImage(lambda: gif(transparency=0), transparent),
    "gif, animated": SoundImage(lambda: gif(save_all=True, append_images=[BLACK], loop=0), reduced),
    "gif, no end marker": SoundImage(lambda: gif()[:-1], reduced),
    "gif, padded blocks": SoundImage(lambda: gif()[:-1] + b"\0\0;", reduced),
    "gif, data behind the image": SoundImage(lambda: gif() + b"trailer", reduced),
    "gif, comment": SoundImage(lambda: gif(comment=b"by somebody"), reduced),
}

SOUND_AVIFS: dict[str, SoundImage] = {
    "avif": SoundImage(avif, photo, 8),
    "avif, 4:2:0": SoundImage(lambda: avif(subsampling="4:2:0"), photo, 16),
    "avif, gray": SoundImage(lambda: avif(gray().convert("RGB"), subsampling="4:0:0"), gray, 8),
    "avif, alpha": SoundImage(lambda: avif(with_alpha()), with_alpha, 10),
    "avif, animated": SoundImage(lambda: avif(save_all=True, append_images=[BLACK]), photo, 8),
    "avif, brand mif1": SoundImage(lambda: avif_boxes.with_brand(avif(), b"mif1"), photo, 8),
    "avif, another brand": SoundImage(lambda: avif_boxes.with_brand(avif(), b"miaf"), photo, 8),
    "avif, damaged EXIF": SoundImage(lambda: avif_boxes.with_damaged_exif(avif(exif=exif_tags())), photo, 8),
    "avif, grid": SoundImage(lambda: avif_boxes.grid(tiles()), tiles, 12),
    "avif, rotated grid": SoundImage(rotated_grid, lambda: tiles().transpose(Image.Transpose.ROTATE_90), 12),
}

SOUND_INPUTS_ONLY: dict[str, SoundImage] = {
    "heic": SoundImage(lambda: HEIC, heic_pixels, 30),
    "heic, damaged EXIF": SoundImage(lambda: HEIC.replace(b"MM\0*", b"????"), heic_pixels, 30),
    "heic, brand mif1": SoundImage(lambda: HEIC[:8] + b"mif1" + HEIC[12:], heic_pixels, 30),
    "bmp": SoundImage(lambda: encode(photo(), "BMP"), photo),
    "bmp, gray": SoundImage(lambda: encode(gray(), "BMP"), gray),
    "bmp, 1 bit": SoundImage(lambda: encode(gray().convert("1"), "BMP"), lambda: gray().convert("1")),
    "bmp, palette": SoundImage(lambda: encode(photo().quantize(64), "BMP"), reduced),
    "bmp, 32 bits": SoundImage(lambda: encode(photo().convert("RGBA"), "BMP"), photo),
    "tiff": SoundImage(tiff(photo()), photo),
    "tiff, LZW": SoundImage(tiff(photo(), compression="tiff_lzw"), photo),
    "tiff, deflate": SoundImage(tiff(photo(), compression="tiff_adobe_deflate"), photo),
    "tiff, PackBits": SoundImage(tiff(photo(), compression="packbits"), photo),
    "tiff, fax": SoundImage(tiff(gray().convert("1"), compression="group4"), lambda: gray().convert("1")),
    "tiff, JPEG inside": SoundImage(tiff(photo(), compression="jpeg", quality=97), photo, 12),
    "tiff, alpha": SoundImage(tiff(with_alpha()), with_alpha),
    "tiff, palette": SoundImage(tiff(photo().quantize(64)), reduced),
    "tiff, cmyk": SoundImage(tiff(photo().convert("CMYK")), photo),
    "tiff, gray of 16 bits": SoundImage(
        tiff(gray().convert("I").point(lambda value: value * 257).convert("I;16")), gray, 1
    ),
    "tiff, several pages": SoundImage(tiff(photo(), save_all=True, append_images=[BLACK]), photo),
    "tiff, profile": SoundImage(tiff(exchanged(photo()), icc_profile=profile(2_000_000)), photo, 2),
    "tiff, orientation": SoundImage(
        tiff(photo(), exif=exif_tags(8)), lambda: photo().transpose(Image.Transpose.ROTATE_90)
    ),
}
