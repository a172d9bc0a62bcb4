"""Sample images in every format, and what a normalized image must look like."""

import base64
import io
from collections.abc import Callable
from typing import Any

from PIL import Image

from image_gateway.engines.protocol import InputImage

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (250, 250, 250)

# Stored with 64x32 pixels, red beside blue, and an orientation of 90 degrees, with camera and GPS tags. Made by libheif
# and x265.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAA"
    "AAAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAEgAAgAAAAACNAABAAAAAAAAAFgAAAA4aWluZgAAAAAAAgAAAB"
    "VpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAA"
    "HZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMA"
    "kAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGU"
    "AAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAIAAAAAEAAAAAAAAAAv///+AAAAACAAAAEHBpeGkAAAAAAwgICAAAAA"
    "lpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAKhtZGF0AAAARCgBr"
    "xOA9SeBP//YlR/+3Pnh93Z8xP/7k66P5wfH/4fI3bgMOuHoSA2InH37tZw8y4OzWfFXc/6Zp6oO+gBR9dgi51y6AAAABkV4"
    "aWYAAE1NACoAAAAIAAMBDwACAAAACQAAADIBEgADAAAAAQAGAACIJQAEAAAAAQAAADwAAAAAU29tZWJvZHkAAAABAAEAAgA"
    "AAAJOAAAAAAAAAA=="
)


def quarters(width: int = 64, height: int = 32) -> Image.Image:
    """Return an image whose four quarters have different colors, so that they show its orientation."""
    photo = Image.new("RGB", (width, height), RED)
    photo.paste(GREEN, (width // 2, 0, width, height // 2))
    photo.paste(BLUE, (0, height // 2, width // 2, height))
    photo.paste(WHITE, (width // 2, height // 2, width, height))
    return photo


def exif_tags(orientation: int = 1) -> bytes:
    """Return EXIF data with a camera, a GPS position and an orientation."""
    exif = Image.Exif()
    exif[0x010F] = "Camera of Somebody"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return exif.tobytes()


def encode(photo: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    photo.save(out, format, **options)
    return out.getvalue()


def decode(image: InputImage) -> Image.Image:
    photo = Image.open(io.BytesIO(image.data))
    photo.load()
    assert photo.size == (image.width, image.height)
    assert Image.MIME[photo.format or ""] == image.content_type
    return photo


def assert_upright(photo: Image.Image) -> None:
    """The quarters have the positions and colors of `quarters`, apart from what lossy formats change."""
    width, height = photo.size
    pixels = [
        photo.convert("RGB").getpixel((x, y))
        for y in (height // 4, height * 3 // 4)
        for x in (width // 4, width * 3 // 4)
    ]
    for pixel, expected in zip(pixels, (RED, GREEN, BLUE, WHITE), strict=True):
        assert isinstance(pixel, tuple)
        assert all(abs(a - b) < 24 for a, b in zip(pixel, expected, strict=True)), pixels


def assert_no_metadata(image: InputImage) -> None:
    photo = decode(image)
    assert not photo.getexif()
    assert set(photo.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"Somebody" not in image.data


ENCODERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "png": (lambda: encode(quarters(), "PNG", exif=exif_tags()), "image/png"),
    "png, palette": (lambda: encode(quarters().quantize(4), "PNG"), "image/png"),
    "jpeg": (lambda: encode(quarters(), "JPEG", quality=95, exif=exif_tags(), comment="by Somebody"), "image/jpeg"),
    "jpeg, progressive": (lambda: encode(quarters(), "JPEG", quality=95, progressive=True), "image/jpeg"),
    "jpeg, cmyk": (lambda: encode(quarters().convert("CMYK"), "JPEG", quality=95), "image/jpeg"),
    "webp": (lambda: encode(quarters(), "WEBP", quality=95, exif=exif_tags(), xmp=b"<x>Somebody</x>"), "image/jpeg"),
    "webp, lossless": (lambda: encode(quarters(), "WEBP", lossless=True), "image/jpeg"),
    "webp, animated": (
        lambda: encode(quarters(), "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        "image/jpeg",
    ),
    "gif": (lambda: encode(quarters(), "GIF", comment=b"by Somebody"), "image/png"),
    "gif, animated": (
        lambda: encode(quarters(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        "image/png",
    ),
    "avif": (lambda: encode(quarters(), "AVIF", quality=95, exif=exif_tags()), "image/jpeg"),
    "bmp": (lambda: encode(quarters(), "BMP"), "image/png"),
    "tiff": (lambda: encode(quarters(), "TIFF", compression="tiff_lzw", description="by Somebody"), "image/png"),
    "tiff, jpeg inside": (lambda: encode(quarters(), "TIFF", compression="jpeg", quality=95), "image/png"),
    "mpo": (
        lambda: encode(quarters(), "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        "image/jpeg",
    ),
}
"""Sample files by format, and the content type of each after normalization. All are 64x32 pixels of `quarters`."""

TRANSPOSE_BY_ORIENTATION = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an image must be stored so that it is upright with each EXIF orientation."""
