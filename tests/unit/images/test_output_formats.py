"""Images that engines return without an end marker: none that was paid for is lost, unless pixels are missing."""

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
from image_gateway.errors import Busy
from image_gateway.images.decoding.decoder import Decoder, LimitExceededError
from image_gateway.images.output_formats import OutputFormats
from image_gateway.images.sniff import sniff
from tests.unit.images.crafted_png import crafted_png, png_chunk
from tests.unit.images.decoding.bombs import zeros
from tests.unit.images.sound_images import encode, photo

pytestmark = pytest.mark.anyio

Finish = Callable[[bytes], Awaitable[bytes]]
UNFINISHED = {"png": encode(photo(), "PNG")[:-12], "jpeg": encode(photo(), "JPEG")[:-2], "gif": b""}
UNFINISHED["gif"] = encode(photo().quantize(16), "GIF")[:-1]


class OtherDecoder(Decoder):
    """A decoder that finishes images as the test says."""

    def __init__(self, finish: Finish) -> None:
        super().__init__()
        self._finish = finish

    async def finish(self, data: bytes) -> bytes:
        return await self._finish(data)


async def busy(_data: bytes) -> bytes:
    raise Busy("Images cannot be decoded at the moment", retry_after=1)


async def exceeds(_data: bytes) -> bytes:
    raise LimitExceededError("time")


async def never(_data: bytes) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def applied(data: bytes, decoder: Decoder, seconds: float = 60.0) -> tuple[bytes, list[str]]:
    """Return what becomes of an image when so much time is left, and the warnings."""
    result = EngineResult([EngineImage(data)])
    formats = OutputFormats(lambda: decoder)
    (image,) = await formats.apply(ImageRequest(job_id="1", prompt="a fox"), result, lambda: seconds)
    return image.data, result.warnings


@pytest.mark.parametrize("format", UNFINISHED)
@pytest.mark.parametrize(
    ("finish", "seconds", "reason"),
    [
        (busy, 60.0, "Images cannot be decoded at the moment"),
        (exceeds, 60.0, "more CPU time"),
        (never, 2.0, "no time left"),
    ],
    ids=["busy", "limits", "time"],
)
async def test_an_image_without_an_end_marker_that_cannot_be_decoded_now_is_kept_with_a_warning(
    format: str, finish: Finish, seconds: float, reason: str
) -> None:
    """It may have been paid for, and it can be stored: nobody knows that it is truncated."""
    data, (warning,) = await applied(UNFINISHED[format], OtherDecoder(finish), seconds)

    assert sniff(data).content_type == f"image/{format}"
    assert data.startswith(UNFINISHED[format])
    assert warning.startswith("an image had no end marker, and may lack pixels at its end: ")
    assert reason in warning


async def test_an_image_without_an_end_marker_is_kept_if_it_is_too_large_to_be_decoded() -> None:
    """Engines may make more pixels than an input may have."""
    large = crafted_png(8_000, 8_000, png_chunk(b"IDAT", zeros(9)))[:-12]

    data, (warning,) = await applied(large, Decoder())

    assert struct.unpack_from(">II", data, 16) == (8_000, 8_000)
    assert sniff(data).width == 8_000
    assert "it has more than 50 megapixels" in warning


async def test_a_truncated_image_is_left_as_it_is() -> None:
    """Storing it reports that."""
    truncated = encode(photo(), "JPEG")[:-200]

    assert await applied(truncated, Decoder()) == (truncated, [])


async def test_an_image_waits_for_the_decoder() -> None:
    """Another image is decoded first: that is no reason to give this one up."""
    decoder = Decoder()
    large = crafted_png(3_000, 3_000, png_chunk(b"IDAT", zeros(3_000 * 3_001)))

    others = [asyncio.create_task(decoder.normalize(large, "image")) for _ in range(2)]
    await asyncio.sleep(0)
    data, warnings = await applied(UNFINISHED["png"], decoder)

    assert (data, warnings) == (encode(photo(), "PNG"), [])
    await asyncio.gather(*others)
