"""What a decoding process can do with images. Loads Pillow, so only decoding processes import this module."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from image_gateway.images import engine_inputs
from image_gateway.images.convert import ConversionError, reencode
from image_gateway.images.normalize import MAX_PIXELS, normalize, normalize_mask
from image_gateway.images.opening import open_image
from image_gateway.images.sniff import sniff
from image_gateway.images.unfinished import TooManyPixelsError, finished
from image_gateway.models.input_image import InputImage

Output = tuple[dict[str, Any], bytes]
"""Facts about an encoded image, for the header of a response, and the image."""

_BYTES_PER_PIXEL = {"image/jpeg": 14, "image/webp": 18, "HEIF": 18}
"""Memory for each pixel of a format in bytes, with all copies that are made of the image: see docs/limits.md."""
_OTHER_BYTES_PER_PIXEL = 16


def announced_pixels(data: bytes) -> tuple[int, int]:
    """Return the pixels that an image's header announces, and the bytes that each of them needs.

    No pixels if the header cannot be read, or if it announces more than are accepted: then the operation says so.
    """
    try:
        image_type = sniff(data)
        kind, width, height = image_type.content_type, image_type.width or 0, image_type.height or 0
    except ValueError:
        try:
            with open_image(data) as opened:
                kind, (width, height) = opened.format or "", opened.size
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - decoders raise exceptions of any type for damaged files
            return 0, 0
    pixels = width * height
    return (pixels if pixels <= MAX_PIXELS else 0), _BYTES_PER_PIXEL.get(kind, _OTHER_BYTES_PER_PIXEL)


def _normalize(options: dict[str, Any], data: bytes) -> Output:
    return _described(normalize(data, field=options["field"]))


def _normalize_mask(options: dict[str, Any], data: bytes) -> Output:
    size_of = InputImage(b"", "", options["width"], options["height"])
    return _described(normalize_mask(data, size_of=size_of, field=options["field"]))


def _reencode(options: dict[str, Any], data: bytes) -> Output:
    encoded, flattened = reencode(data, options["format"], quality=options["quality"])
    return {"flattened": flattened}, encoded


def _finish(_options: dict[str, Any], data: bytes) -> Output:
    try:
        return {}, finished(data, max_pixels=MAX_PIXELS)
    except TooManyPixelsError:
        return {"exceeded": "pixels"}, b""
    except ValueError as error:
        raise ConversionError(str(error)) from error


def _resized(options: dict[str, Any], data: bytes) -> Output:
    return {}, engine_inputs.resized(data, options["width"], options["height"])


def _converted(convert: Callable[..., bytes]) -> Callable[..., Output]:
    return lambda _options, *parts: ({}, convert(*parts))


def _described(image: InputImage) -> Output:
    return {"content_type": image.content_type, "width": image.width, "height": image.height}, image.data


OPERATIONS: Mapping[str, Callable[..., Output]] = MappingProxyType(
    {
        "normalize": _normalize,
        "normalize_mask": _normalize_mask,
        "reencode": _reencode,
        "finish": _finish,
        "resized": _resized,
        "white_where_transparent": _converted(engine_inputs.white_where_transparent),
        "with_colors": _converted(engine_inputs.with_colors),
        "fully_editable": _converted(engine_inputs.fully_editable),
        "as_alpha": _converted(engine_inputs.as_alpha),
    }
)
"""The operations by name. Each gets its options and one or more encoded images."""


def run_operation(name: str, options: dict[str, Any], parts: Sequence[bytes]) -> Output:
    """Run an operation.

    Raises:
        InvalidImage: an image cannot be used.
        ConversionError: an image cannot be converted.
        MemoryError: the process has no memory left.
    """
    return OPERATIONS[name](options, *parts)
