"""Images in the format that was asked for, where an engine made another. Pillow is loaded only then."""

import asyncio
from dataclasses import replace

from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
from image_gateway.images.sniff import sniff

FORMATS = ("png", "jpeg", "webp")
"""What images can be converted to."""

_HAVE_QUALITY = ("jpeg", "webp")


class OutputFormats:
    """Sees to `output_format` and `output_compression`. Made once per process."""

    def __init__(self) -> None:
        # One image at a time is decoded: it takes many times the memory that it has encoded.
        self._turn = asyncio.Lock()

    async def apply(self, request: ImageRequest, result: EngineResult) -> list[EngineImage]:
        """The images of a result in the format that the request asks for; `result.warnings` says what could not be.

        An image that cannot be converted is given as it is: it is paid for.
        """
        wanted, compression = request.output_format, request.output_compression
        if "output_format" in result.handled:
            wanted = None
        return [await self._converted(image, wanted, compression, result) for image in result.images]

    async def _converted(
        self, image: EngineImage, wanted: str | None, compression: int | None, result: EngineResult
    ) -> EngineImage:
        try:
            made = sniff(image.data).content_type.removeprefix("image/")
        except ValueError:
            return image  # no image, which is for the store to say
        if wanted not in (None, made, *FORMATS):
            _warn(result, "output_format can be png, jpeg or webp: the images are as the engine made them")
            wanted = None
        target = wanted or made
        can_compress = target in _HAVE_QUALITY
        if compression is not None and not can_compress and "output_compression" not in result.handled:
            _warn(result, f"output_compression is for jpeg and webp: {target} has none")
        again = compression is not None and can_compress and "output_compression" not in result.handled
        if target == made and not again:
            return image
        async with self._turn:
            data, warning = await asyncio.to_thread(_encode, image.data, target, compression)
        if warning:
            _warn(result, warning)
        return replace(image, data=data)


def _encode(data: bytes, format: str, compression: int | None) -> tuple[bytes, str | None]:
    """The image in another format, and what its maker should know."""
    from image_gateway.images.convert import ConversionError, reencode  # noqa: PLC0415 - loads Pillow, which few requests need

    try:
        encoded, flattened = reencode(data, format, quality=compression)
    except ConversionError as reason:
        return data, f"output_format could not be {format}: {reason}"
    return encoded, "transparent pixels were laid on white: jpeg has no transparency" if flattened else None


def _warn(result: EngineResult, warning: str) -> None:
    if warning not in result.warnings:
        result.warnings.append(warning)
