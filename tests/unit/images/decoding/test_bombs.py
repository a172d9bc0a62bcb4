"""Files that try to use up memory or CPU time: each is refused or survived within its limits."""

from pathlib import Path

import pytest

from image_gateway.errors import InvalidImage
from tests.unit.images.decoding.bombs import BOMBS
from tests.unit.images.decoding.outcomes import outcome_within_limits

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux limits memory, and reports its use"),
]

REASONS = {
    "png: 110,000 chunks": "damaged or truncated",
    "jpeg: 20,000 scans": "more CPU time than an image of its size may use",
    "heic: 2 to the power of 30 overlays": "more CPU time than an image of its size may use",
    "jpeg: 110,000 segments": "damaged or truncated",
    "tiff: a deflated tile of 46,336 x 46,336 pixels": "damaged or truncated",
    "webp: 16,383 x 16,383 pixels of one color": "more than 50 megapixels",
}
"""Why some of the files are refused."""


def test_there_are_at_least_thirty_files() -> None:
    """They attack every format, and have less than the 50 MB that an input may have."""
    assert len(BOMBS) >= 30
    assert {name.partition(":")[0] for name in BOMBS} == {"png", "jpeg", "gif", "webp", "bmp", "tiff", "avif", "heic"}


@pytest.mark.parametrize("name", sorted(BOMBS.keys() - REASONS.keys()))
async def test_a_file_is_refused_or_survived_within_the_limits(name: str) -> None:
    """Images after it succeed."""
    await outcome_within_limits(BOMBS[name]())


@pytest.mark.parametrize("name", REASONS)
async def test_the_reason_for_a_refusal_is_the_limit(name: str) -> None:
    """What the header announces does not matter."""
    result = await outcome_within_limits(BOMBS[name]())

    assert isinstance(result, InvalidImage)
    assert REASONS[name] in result.detail
