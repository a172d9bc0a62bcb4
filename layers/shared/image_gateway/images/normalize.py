"""Normalization of input images to what every engine accepts: upright, sRGB, PNG or JPEG, without metadata.

This module loads Pillow, so only the processes of `images.decoding` import it. `images.decoding.operations` has the
memory that a call needs.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

from PIL import ExifTags, Image, ImageChops, ImageCms, UnidentifiedImageError

from image_gateway.errors import InvalidImage
from image_gateway.images.opening import open_image
from image_gateway.images.sniff import UnfinishedImage, sniff
from image_gateway.images.unfinished import finished
from image_gateway.models.input_image import MAX_SIDE, InputImage

MAX_PIXELS = 50_000_000
"""Maximum number of pixels. Photos of 48-megapixel phones are below it."""

MAX_MASK_BYTES = 4_000_000
"""Maximum size of a mask in bytes, as PNG: OpenAI's limit."""

_CHECKED_FOR_TRUNCATION = ("PNG", "JPEG", "WEBP", "GIF")
_LOSSLESS = ("PNG", "GIF", "BMP", "TIFF")
_TRANSPOSE_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def normalize(data: bytes, *, field: str) -> InputImage:
    """Decode a PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP, TIFF or MPO image (its first frame), and encode it again.

    The image is rotated according to its EXIF orientation, and converted to sRGB according to its color profile. The
    result has no metadata. It is a JPEG of quality 95, or a PNG where the image has alpha or a lossless format.

    Args:
        data: the encoded image. Its type is detected from the content alone.
        field: the form field, for errors.

    Raises:
        InvalidImage: the data is not such an image, or it is damaged, truncated, or larger than `MAX_PIXELS` or
            `MAX_SIDE`.
    """
    with _pillow_errors(field), _open(data, field) as opened:
        lossless = opened.format in _LOSSLESS
        image = srgb(upright(opened))
        return _encoded(image, "PNG" if lossless or image.mode == "RGBA" else "JPEG")


def normalize_mask(data: bytes, *, size_of: InputImage, field: str) -> InputImage:
    """Decode a mask, whose transparent pixels are the ones to edit, and encode it as an RGBA PNG with black pixels.

    Args:
        data: the encoded mask.
        size_of: the first input image, already normalized.
        field: the form field, for errors.

    Raises:
        InvalidImage: as `normalize`; or the mask has no alpha, is completely opaque, does not have the size of
            `size_of`, or is larger than `MAX_MASK_BYTES`.
    """
    with _pillow_errors(field), _open(data, field) as opened:
        if not opened.has_transparency_data:
            raise InvalidImage(
                "The mask has no alpha channel: save it as PNG, with the pixels to edit made transparent", field=field
            )
        alpha = _eight_bits(upright(opened)).convert("RGBA").getchannel("A")
    size, required = f"{alpha.width}x{alpha.height}", f"{size_of.width}x{size_of.height}"
    if size != required:
        raise InvalidImage(
            f"The mask is {size} and the first image {required} pixels: make the mask from a copy of that image",
            field=field,
        )
    if not ImageChops.invert(alpha).getbbox():
        raise InvalidImage("The mask is opaque everywhere: make the pixels to edit transparent (alpha 0)", field=field)
    black = Image.new("L", alpha.size)
    mask = _encoded(Image.merge("RGBA", (black, black, black, alpha)), "PNG")
    if len(mask.data) > MAX_MASK_BYTES:
        raise InvalidImage(
            f"The mask is over {MAX_MASK_BYTES // 1_000_000} MB as PNG: give its areas hard edges", field=field
        )
    return mask


@contextmanager
def _pillow_errors(field: str) -> Iterator[None]:
    """Raise `InvalidImage` for what Pillow raises."""
    try:
        yield
    except InvalidImage:
        raise
    except UnidentifiedImageError:
        raise InvalidImage(
            "Not an image in a supported format: send PNG, JPEG, WebP, GIF, AVIF, HEIC, BMP or TIFF", field=field
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidImage(f"The image has more than {MAX_PIXELS // 1_000_000} megapixels", field=field) from None
    except Exception as error:  # decoders raise exceptions of any type for damaged files
        raise InvalidImage("The image is damaged or truncated", field=field) from error


def _open(data: bytes, field: str) -> Image.Image:
    """Read the header, and reject images that are too large before anything is decoded."""
    if not data:
        raise InvalidImage("The image is empty", field=field)
    opened = open_image(data)
    width, height = opened.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InvalidImage(
            f"The image is {width}x{height}: the limit is {MAX_PIXELS // 1_000_000} megapixels "
            f"and {MAX_SIDE} pixels a side",
            field=field,
        )
    if opened.format in _CHECKED_FOR_TRUNCATION:
        try:
            sniff(data)  # raises for files cut near their end, whose missing pixels some decoders fill silently
        except UnfinishedImage:
            finished(data, max_pixels=MAX_PIXELS)
    return opened


def upright(image: Image.Image) -> Image.Image:
    """Decode an opened image, and rotate it according to its EXIF orientation."""
    image.load()
    try:
        method = _TRANSPOSE_BY_ORIENTATION.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - damaged EXIF data does not make the image invalid
        method = None
    return image if method is None else image.transpose(method)


def srgb(image: Image.Image) -> Image.Image:
    """Return the image in sRGB: as RGBA where it may have transparent pixels, else as RGB.

    Where a color profile cannot be used, the pixels keep their values.
    """
    image = _eight_bits(image)
    if image.mode == "La":  # Pillow converts premultiplied gray to LA only
        image = image.convert("LA")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if mode == "RGBA" or image.mode not in ("L", "RGB", "CMYK"):
        image = _converted(image, mode)
    if profile := image.info.get("icc_profile"):
        with suppress(ImageCms.PyCMSError):
            srgb = ImageCms.createProfile("sRGB")
            in_place = image.mode == mode
            result = ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode=mode, inPlace=in_place)
            image = result or image
    return _converted(image, mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert grays of 16 bits, 32 bits or floating point to 8 bits; return any other image unchanged.

    Grays of 32 bits and floating point have no defined white, so the range between the darkest and the brightest pixel
    is stretched. A gray that is declared as transparent becomes alpha.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    transparent = image.info.get("transparency")
    if image.mode == "I;16" and isinstance(transparent, int):
        alpha = image.convert("I").point([0 if value == transparent else 255 for value in range(65_536)], "L")
        del image.info["transparency"]
        return Image.merge("LA", (_eight_bits(image), alpha))
    deep = image.convert("F")
    value_range = (0.0, 65_535.0) if image.mode.startswith("I;16") else deep.getextrema()
    low, high = cast("tuple[float, float]", value_range)
    scale = 255 / ((high - low) or 1.0)
    return deep.point(lambda value: value * scale - low * scale).convert("L")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _encoded(image: Image.Image, format: str) -> InputImage:
    image.info = {}  # Pillow would write the metadata in it
    out = io.BytesIO()
    if format == "PNG":
        image.save(out, format, compress_level=1)
    else:
        image.save(out, format, quality=95)
    return InputImage(out.getvalue(), f"image/{format.lower()}", image.width, image.height)
