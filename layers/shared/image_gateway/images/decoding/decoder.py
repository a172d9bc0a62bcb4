"""Decodes and encodes images for the gateway, in processes with limits."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from image_gateway.engines.protocol import ImageConversion
from image_gateway.errors import Busy, GatewayError, InvalidImage, TooLarge
from image_gateway.images.decoding.limits import LARGE_MEMORY, SMALL_MEMORY, required_memory
from image_gateway.images.decoding.messages import Header
from image_gateway.images.decoding.process import ProcessEndedError, give_back, take_process, warm_up
from image_gateway.models.fields import Size
from image_gateway.models.input_image import InputImage

logger = logging.getLogger(__name__)

_MAX_SECONDS = 120.0
"""Longest time for one image, for a decoder that hangs without using the CPU. It is long, because a computer with other
work may need several times the seconds of CPU time."""

_UNAVAILABLE = "Images cannot be decoded at the moment"
_REASONS = {
    "memory": "it needs more memory than an image of its size may use",
    "time": "it needs more CPU time than an image of its size may use",
    "pixels": "it has more than 50 megapixels",
    "bytes": "as PNG or JPEG it has more than 100 MB",
    "crash": "its decoder failed",
}


class DecodingError(Exception):
    """An image cannot be decoded or encoded. The text says why."""


class LimitExceededError(DecodingError):
    """An image needs more than it may use, or crashed its decoder. The text goes on after a colon.

    `limit` is a key of `_REASONS`.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(_REASONS[limit])
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Reencoded:
    """An image in another format; `flattened`: transparent pixels were flattened onto white."""

    data: bytes = field(repr=False)
    flattened: bool


class Decoder:
    """Decodes images in child processes. One instance per process.

    One image at a time is decoded with `SMALL_MEMORY`, and beside it one with `LARGE_MEMORY`. So large images delay
    only each other, and all together use at most `TOTAL_MEMORY`. An operation that is canceled ends at once.
    """

    def __init__(self) -> None:
        self._small = asyncio.Lock()
        self._large = asyncio.Lock()

    def warm_up(self) -> None:
        """Start a process, unless one is idle, so that it is ready when the images have been fetched."""
        warm_up()

    async def normalize(self, data: bytes, field: str) -> InputImage:
        """Decode and encode an input image: see `images.normalize.normalize`.

        Raises:
            InvalidImage: the image cannot be used, or exceeds the limits of its size.
            TooLarge: as PNG or JPEG it has more than `MAX_RESPONSE_BYTES`.
            Busy: no process can be started, or the computer has no memory left.
        """
        return await self._input_image("normalize", {"field": field}, data)

    async def normalize_mask(self, data: bytes, *, size_of: InputImage, field: str) -> InputImage:
        """Decode and encode a mask: see `images.normalize.normalize_mask`. Errors as of `normalize`."""
        return await self._input_image(
            "normalize_mask", {"field": field, "width": size_of.width, "height": size_of.height}, data
        )

    async def reencode(self, data: bytes, format: str, *, quality: int | None = None) -> Reencoded:
        """Convert an image to another format: see `images.convert.reencode`.

        Raises:
            DecodingError: the image cannot be converted, or exceeds the limits of its size.
            Busy: no process can be started.
        """
        header, image = await self._run("reencode", {"format": format, "quality": quality}, [data])
        return Reencoded(image, header["flattened"])

    async def finish(self, data: bytes) -> bytes:
        """Add the end marker that an image lacks: see `images.unfinished.finished`.

        Raises:
            LimitExceededError: the image exceeds the limits of its size, so this does not tell whether it is truncated.
            DecodingError: pixels are missing.
            Busy: no process can be started.
        """
        _, image = await self._run("finish", {}, [data])
        return image

    async def convert_image(
        self, conversion: ImageConversion, *images: InputImage, size: Size | None = None
    ) -> InputImage:
        """Convert a normalized image or mask to what an engine expects: see `images.engine_inputs`.

        Returns:
            The result as PNG, in the given size or in that of the first image.

        Raises:
            InvalidImage: the images exceed the limits of their size.
            Busy: no process can be started.
        """
        width, height = (size.width, size.height) if size else (images[0].width, images[0].height)
        options = {"width": width, "height": height}
        try:
            _, data = await self._run(conversion, options, [image.data for image in images])
        except DecodingError as reason:
            raise InvalidImage(f"The image cannot be converted for the engine: {reason}", field="image") from None
        return InputImage(data, "image/png", width, height)

    async def _input_image(self, operation: str, options: Header, data: bytes) -> InputImage:
        try:
            header, image = await self._run(operation, options, [data])
        except LimitExceededError as reason:
            error = TooLarge if reason.limit == "bytes" else InvalidImage
            raise error(f"The image cannot be decoded: {reason}", field=options["field"]) from None
        except DecodingError as reason:
            raise InvalidImage(str(reason), field=options["field"]) from None
        return InputImage(image, header["content_type"], header["width"], header["height"])

    async def _run(self, operation: str, options: Header, parts: Sequence[bytes]) -> tuple[Header, bytes]:
        request = {"operation": operation, "options": options}
        if required_memory(sum(len(part) for part in parts)) <= SMALL_MEMORY:
            async with self._small:
                header, image = await self._exchange({**request, "memory": SMALL_MEMORY}, parts)
            if "needs" not in header:
                return header, image
        async with self._large:
            return await self._exchange({**request, "memory": LARGE_MEMORY}, parts)

    async def _exchange(self, request: Header, parts: Sequence[bytes]) -> tuple[Header, bytes]:
        try:
            process = take_process()
        except OSError as error:
            logger.exception("a decoding process cannot be started")
            raise Busy(_UNAVAILABLE, retry_after=1) from error
        try:
            async with asyncio.timeout(_MAX_SECONDS):
                header, image = await asyncio.to_thread(process.exchange, request, parts)
        except RuntimeError as error:
            logger.exception("a thread for a decoding process cannot be started")
            raise Busy(_UNAVAILABLE, retry_after=1) from error
        except ProcessEndedError as ended:
            raise _error_of(ended, request) from None
        except TimeoutError:
            raise _exceeded("time", request) from None
        finally:
            # If it still works, nobody waits for that any more.
            give_back(process)
        if exceeded := header.get("exceeded"):
            raise _exceeded(exceeded, request)
        if problem := header.get("error"):
            raise DecodingError(problem)
        return header, image


def _error_of(ended: ProcessEndedError, request: Header) -> Exception:
    """Return the error for a process that ended before it responded."""
    if ended.end == "killed":
        # The computer ran out of memory, which need not be the fault of this image.
        return Busy("The image could not be decoded, because there was no memory left", retry_after=1)
    if ended.end == "exit":
        logger.error("a decoding process ended by itself", extra={"operation": request["operation"]})
        return GatewayError("The gateway could not decode the image")
    return _exceeded(ended.end, request)


def _exceeded(what: str, request: Header) -> LimitExceededError:
    fields = {"operation": request["operation"], "reason": what}
    logger.warning("an image was given up while it was decoded", extra=fields)
    return LimitExceededError(what)
