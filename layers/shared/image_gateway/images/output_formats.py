"""Conversion of output images to the requested format, where the engine made another. Loads Pillow only then."""

import asyncio
from dataclasses import replace

from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
from image_gateway.images.sniff import UnfinishedImage, sniff

FORMATS = ("png", "jpeg", "webp")
"""The formats that images can be converted to."""

_FORMATS_WITH_QUALITY = ("jpeg", "webp")


class OutputFormats:
    """Applies `output_format` and `output_compression`. One instance per process."""

    def __init__(self) -> None:
        # Only one image is decoded at a time: decoded, an image takes many times its encoded size.
        self._conversion_lock = asyncio.Lock()

    async def apply(self, request: ImageRequest, result: EngineResult) -> list[EngineImage]:
        """Return the images of a result in the requested format, and with their end markers.

        An image that cannot be converted is returned unchanged, because it is paid for, and `result.warnings` says
        why.
        """
        output_format, compression = request.output_format, request.output_compression
        if "output_format" in result.handled:
            output_format = None
        return [
            await self._convert(await self._finish(image), output_format, compression, result)
            for image in result.images
        ]

    async def _finish(self, image: EngineImage) -> EngineImage:
        """Add a missing end marker, provided that all pixels are there: else the image counts as truncated."""
        try:
            sniff(image.data)
        except UnfinishedImage:
            async with self._conversion_lock:
                return replace(image, data=await asyncio.to_thread(_finished, image.data))
        except ValueError:
            pass  # not an image: storing it reports that
        return image

    async def _convert(
        self, image: EngineImage, output_format: str | None, compression: int | None, result: EngineResult
    ) -> EngineImage:
        try:
            current = sniff(image.data).content_type.removeprefix("image/")
        except ValueError:
            return image  # not an image: storing it reports that
        if output_format not in (None, current, *FORMATS):
            _warn(result, "output_format can be png, jpeg or webp: the images are as the engine made them")
            output_format = None
        target = output_format or current
        can_compress = target in _FORMATS_WITH_QUALITY
        if compression is not None and not can_compress and "output_compression" not in result.handled:
            _warn(result, f"output_compression is for jpeg and webp: {target} has none")
        recompress = compression is not None and can_compress and "output_compression" not in result.handled
        if target == current and not recompress:
            return image
        async with self._conversion_lock:
            data, warning = await asyncio.to_thread(_encode, image.data, target, compression)
        if warning:
            _warn(result, warning)
        return replace(image, data=data)


def _encode(data: bytes, format: str, compression: int | None) -> tuple[bytes, str | None]:
    """Return the image in the format, and a warning for the caller; the unchanged image where conversion fails."""
    from image_gateway.images.convert import ConversionError, reencode  # noqa: PLC0415 - loads Pillow, which few requests need

    try:
        encoded, flattened = reencode(data, format, quality=compression)
    except ConversionError as reason:
        return data, f"output_format could not be {format}: {reason}"
    return encoded, "transparent pixels were flattened onto white: jpeg has no transparency" if flattened else None


def _finished(data: bytes) -> bytes:
    """Return the image with its end marker; the unchanged image if pixels are missing."""
    from image_gateway.images.convert import MAX_PIXELS  # noqa: PLC0415 - loads Pillow, which few requests need
    from image_gateway.images.unfinished import finished  # noqa: PLC0415 - as above

    try:
        return finished(data, max_pixels=MAX_PIXELS)
    except ValueError:
        return data


def _warn(result: EngineResult, warning: str) -> None:
    if warning not in result.warnings:
        result.warnings.append(warning)
