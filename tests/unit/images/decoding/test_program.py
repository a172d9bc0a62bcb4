"""The program of a decoding process, run in this process, with recorded limits instead of real ones."""

import io
from contextlib import suppress
from typing import Any

import pytest

from image_gateway.images.decoding.limits import LARGE_MEMORY, SMALL_MEMORY, cpu_seconds, required_memory
from image_gateway.images.decoding.messages import read_header, read_parts, write_message
from image_gateway.images.decoding.program import serve
from tests.unit.images.crafted_png import crafted_png, png_chunk
from tests.unit.images.decoding.bombs import zeros
from tests.unit.images.input_sources import PNG, png
from tests.unit.images.sample_images import HEIC, encode, quarters

NORMALIZE = {"operation": "normalize", "options": {"field": "image"}, "memory": SMALL_MEMORY}
TO_WEBP = {"operation": "reencode", "options": {"format": "webp", "quality": None}, "memory": SMALL_MEMORY}


class RecordedLimits:
    """Records limits, and raises a `MemoryError` when a limit of memory above `available` is set."""

    def __init__(self, available: int = LARGE_MEMORY, *, reusable: bool = True) -> None:
        self.limits: list[tuple[int, float]] = []
        self._available = available
        self._reusable = reusable

    def start(self, memory: int, seconds: float) -> None:
        self.limits.append((memory, seconds))

    def change(self, memory: int, seconds: float) -> None:
        self.limits.append((memory, seconds))
        if memory > self._available:
            raise MemoryError

    def stop(self) -> bool:
        return self._reusable


def responses(*requests: tuple[dict[str, Any], bytes], limits: RecordedLimits) -> list[tuple[dict[str, Any], bytes]]:
    """Serve requests, each with one image, and return the responses."""
    incoming, outgoing = io.BytesIO(), io.BytesIO()
    for header, image in requests:
        write_message(incoming, header, [image])
    incoming.seek(0)
    with suppress(EOFError):
        serve(incoming, outgoing, limits)
    outgoing.seek(0)
    found = []
    while outgoing.tell() < len(outgoing.getvalue()):
        header = read_header(outgoing)
        (image,) = read_parts(outgoing, header, 10**9)
        found.append((header, image))
    return found


def test_images_are_decoded_one_after_another() -> None:
    """Each response has the facts about its image."""
    first, second = responses((NORMALIZE, PNG), (TO_WEBP, png(5, 4)), limits=RecordedLimits())

    assert (first[0]["width"], first[0]["height"], first[0]["content_type"]) == (3, 2, "image/png")
    assert (second[0]["flattened"], second[1][:4]) == (False, b"RIFF")


@pytest.mark.parametrize(
    ("image", "pixels"),
    [
        (lambda: png(300, 200), 60_000),
        (lambda: encode(quarters(), "TIFF"), 2_048),
        (lambda: HEIC, 2_048),
        (lambda: b"no image", 0),
        (lambda: crafted_png(50_000, 50_000, png_chunk(b"IDAT", zeros(9))), 0),
    ],
    ids=["png", "tiff", "heic", "no image", "too many pixels"],
)
def test_limits_depend_on_the_announced_pixels(image: Any, pixels: int) -> None:
    """While the header is read, and for what cannot be an image, they are those of an image without pixels."""
    limits = RecordedLimits()
    data = image()

    responses((NORMALIZE, data), limits=limits)

    (memory, seconds), (decoding_memory, decoding_seconds) = limits.limits
    assert (memory, seconds) == (required_memory(len(data)), cpu_seconds())
    assert decoding_seconds == cpu_seconds(pixels)
    assert (decoding_memory > memory) == (pixels > 0)


def test_an_image_that_needs_more_memory_than_offered_is_not_decoded() -> None:
    """The response says how much it needs."""
    data = crafted_png(7_000, 7_000, png_chunk(b"IDAT", zeros(9)))

    ((header, image),) = responses((NORMALIZE, data), limits=RecordedLimits())

    assert SMALL_MEMORY < header["needs"] <= LARGE_MEMORY
    assert image == b""


@pytest.mark.parametrize("request_header", [NORMALIZE, TO_WEBP], ids=["normalize", "reencode"])
def test_an_invalid_image_is_described(request_header: dict[str, Any]) -> None:
    """The process goes on with the next one."""
    first, second = responses((request_header, PNG[:-30]), (request_header, PNG), limits=RecordedLimits())

    assert "damaged" in first[0]["error"]
    assert "error" not in second[0]


def test_no_request_is_read_after_the_memory_was_exceeded() -> None:
    """The memory may be in pieces, so another process takes the next image."""
    ((header, _),) = responses((NORMALIZE, PNG), (NORMALIZE, PNG), limits=RecordedLimits(available=0))

    assert (header["exceeded"], header["last"]) == ("memory", True)


def test_a_result_that_is_too_long_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function's own process would need memory for it."""
    monkeypatch.setattr("image_gateway.images.decoding.program.MAX_RESPONSE_BYTES", 50)

    ((header, image),) = responses((NORMALIZE, PNG), limits=RecordedLimits())

    assert (header["exceeded"], image) == ("bytes", b"")


def test_no_request_is_read_after_the_process_has_grown() -> None:
    """The image itself is returned."""
    ((header, image),) = responses((NORMALIZE, PNG), (NORMALIZE, PNG), limits=RecordedLimits(reusable=False))

    assert (header["last"], header["width"], image[:4]) == (True, 3, b"\x89PNG")
