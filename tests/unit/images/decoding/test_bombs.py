"""Files that try to use up memory or CPU time: each is refused or survived within its limits."""

from pathlib import Path

import pytest

from image_gateway.errors import InvalidImage
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.images.decoding.limits import LARGE_MEMORY, PROCESS_MEMORY
from image_gateway.models.input_image import InputImage
from tests.unit.images.decoding.bombs import BOMBS
from tests.unit.images.decoding.processes import cpu_seconds_of_children, decoding_processes, peak_memory
from tests.unit.images.input_sources import PNG

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux limits memory, and reports its use"),
]

MAX_PIXELS = 50_000_000
REASONS = {
    "png: 3 million chunks": "damaged or truncated",
    "jpeg: 20,000 scans": "more CPU time than an image of its size may use",
    "heic: 2 to the power of 30 overlays": "more CPU time than an image of its size may use",
    "jpeg: 20 million fill bytes": "more CPU time than an image of its size may use",
    "bmp: RLE of 8 x 8 pixels that goes on": "more CPU time than an image of its size may use",
    "jpeg: a million segments": "damaged or truncated",
    "tiff: a deflated tile of 46,336 x 46,336 pixels": "damaged or truncated",
    "webp: 16,383 x 16,383 pixels of one color": "more than 50 megapixels",
}
"""Why some of the files are refused."""


async def outcome_within_limits(name: str) -> InputImage | InvalidImage:
    """Decode a file, and then a sound one, which succeeds whatever the first has done.

    The file takes less than 10 s of CPU time and 800 MB of memory.
    """
    decoder = Decoder()
    used = cpu_seconds_of_children()
    try:
        result: InputImage | InvalidImage = await decoder.normalize(BOMBS[name](), "image")
    except InvalidImage as error:
        result = error
    assert cpu_seconds_of_children() - used < 10
    # A process that exceeded its memory is not there any more: the operating system gave it no more.
    assert all(peak_memory(pid) <= LARGE_MEMORY + PROCESS_MEMORY for pid in decoding_processes())
    assert (await decoder.normalize(PNG, "image")).width == 3
    return result


def test_there_are_at_least_thirty_files() -> None:
    """They attack every format, and have less than the 50 MB that an input may have."""
    assert len(BOMBS) >= 30
    assert {name.partition(":")[0] for name in BOMBS} == {"png", "jpeg", "gif", "webp", "bmp", "tiff", "avif", "heic"}


@pytest.mark.parametrize("name", sorted(BOMBS.keys() - REASONS.keys()))
async def test_a_file_is_refused_or_survived_within_the_limits(name: str) -> None:
    """If it is survived, the result has no more pixels than an image may have."""
    result = await outcome_within_limits(name)

    if isinstance(result, InvalidImage):
        assert result.field == "image"
    else:
        assert result.width * result.height <= MAX_PIXELS


@pytest.mark.parametrize("name", REASONS)
async def test_the_reason_for_a_refusal_is_the_limit(name: str) -> None:
    """What the header announces does not matter."""
    result = await outcome_within_limits(name)

    assert isinstance(result, InvalidImage)
    assert REASONS[name] in result.detail
