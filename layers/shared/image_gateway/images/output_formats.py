"""Conversion of output images to the requested format, where the engine made another."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from image_gateway.aws import Remaining
from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
from image_gateway.errors import GatewayError
from image_gateway.images.end_markers import with_end_marker
from image_gateway.images.sniff import UnfinishedImage, sniff

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_gateway.images.decoding.decoder import Decoder

FORMATS = ("png", "jpeg", "webp")
"""The formats that images can be converted to."""

_FORMATS_WITH_QUALITY = ("jpeg", "webp")
_STORING_SECONDS = 2.0
"""Seconds that are left for storing the images when a conversion is given up."""


class OutputFormats:
    """Applies `output_format` and `output_compression`. One instance per process.

    Args:
        decoder: returns the decoder of the process, which few requests need.
    """

    def __init__(self, decoder: "Callable[[], Decoder]") -> None:
        self._decoder = decoder

    async def apply(self, request: ImageRequest, result: EngineResult, remaining: Remaining) -> list[EngineImage]:
        """Return the images of a result in the requested format, and with their end markers.

        An image that cannot be converted is returned unchanged, because it is paid for, and `result.warnings` says
        why.

        Args:
            request: the request.
            result: what the engine returned.
            remaining: returns the seconds that are left for converting and storing the images.
        """
        output_format, compression = request.output_format, request.output_compression
        if "output_format" in result.handled:
            output_format = None
        return [
            await self._convert(
                await self._finish(image, result, remaining), output_format, compression, result, remaining
            )
            for image in result.images
        ]

    async def _finish(self, image: EngineImage, result: EngineResult, remaining: Remaining) -> EngineImage:
        """Add a missing end marker, unless pixels are missing as well: then the image is truncated."""
        try:
            sniff(image.data)
        except UnfinishedImage:
            return replace(image, data=await self._with_end_marker(image.data, result, remaining))
        except ValueError:
            pass  # not an image: storing it reports that
        return image

    async def _with_end_marker(self, data: bytes, result: EngineResult, remaining: Remaining) -> bytes:
        from image_gateway.images.decoding.decoder import (  # noqa: PLC0415 - few requests need it
            DecodingError,
            LimitExceededError,
        )

        try:
            async with asyncio.timeout(max(remaining() - _STORING_SECONDS, 0)):
                return await self._decoder().finish(data)
        except TimeoutError:
            reason = "there was no time left to decode it"
        except (LimitExceededError, GatewayError) as error:
            reason = str(error)
        except DecodingError:
            return data
        # The image is paid for, and most of those without an end marker have all of their pixels.
        _warn(result, f"an image had no end marker, and may lack pixels at its end: {reason}")
        return with_end_marker(data)

    async def _convert(
        self,
        image: EngineImage,
        output_format: str | None,
        compression: int | None,
        result: EngineResult,
        remaining: Remaining,
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
        data, warning = await self._encode(image.data, target, compression, remaining)
        if warning:
            _warn(result, warning)
        return replace(image, data=data)

    async def _encode(
        self, data: bytes, format: str, compression: int | None, remaining: Remaining
    ) -> tuple[bytes, str | None]:
        """Return the image in the format, and a warning for the caller; the unchanged image where conversion fails."""
        from image_gateway.images.decoding.decoder import DecodingError  # noqa: PLC0415 - few requests need it

        try:
            async with asyncio.timeout(max(remaining() - _STORING_SECONDS, 0)):
                encoded = await self._decoder().reencode(data, format, quality=compression)
        except TimeoutError:
            return data, f"output_format could not be {format}: there was no time left for it"
        except (DecodingError, GatewayError) as reason:
            return data, f"output_format could not be {format}: {reason}"
        flattened = "transparent pixels were flattened onto white: jpeg has no transparency"
        return encoded.data, flattened if encoded.flattened else None


def _warn(result: EngineResult, warning: str) -> None:
    if warning not in result.warnings:
        result.warnings.append(warning)
