"""Files of the largest size that try to use up memory or CPU time. `make fuzz` runs them: they take half a minute."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.images.decoding import bombs, tiff_files
from tests.unit.images.decoding.heif_bombs import FULL_SIZE_HEIF_BOMBS
from tests.unit.images.decoding.outcomes import outcome_within_limits

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux limits memory, and reports its use"),
]

FULL_SIZE_BOMBS: dict[str, Callable[[], bytes]] = {
    "png: 3 million chunks": lambda: bombs.many_chunks(3_000_000),
    "png: 3 million empty IDAT": lambda: bombs.many_empty_pixel_chunks(3_000_000),
    "jpeg: 2,000 scans": lambda: bombs.scans(2_000, 2_000),
    "jpeg: 20,000 scans": lambda: bombs.scans(20_000, 2_000),
    "jpeg: 2,000 scans of 49 megapixels": lambda: bombs.scans(2_000, 7_000),
    "jpeg: 2 million comments": lambda: bombs.many_comments(2_000_000),
    "jpeg: a million segments": lambda: bombs.many_segments(1_000_000),
    "gif: 2 million frames": lambda: bombs.many_frames(2_000_000),
    "bmp: RLE of 9 megapixels in runs of one": lambda: bombs.runs_of_one(3_000, 9_000_000),
    "bmp: RLE of 49 megapixels in runs of one": lambda: bombs.runs_of_one(7_000, 20_000_000),
    "bmp: RLE of 49 megapixels that only moves": lambda: bombs.only_moves(7_000, 5_000_000),
    "bmp: RLE of 8 x 8 pixels that goes on": lambda: bombs.longer_than_announced(10_000_000),
    "tiff: 49 megapixels deflated": lambda: tiff_files.gray_tiff(
        7_000, 7_000, compression=tiff_files.DEFLATE, data=bombs.zeros(49_000_000)
    ),
    **FULL_SIZE_HEIF_BOMBS,
}


@pytest.mark.parametrize("name", FULL_SIZE_BOMBS)
async def test_a_file_of_full_size_is_refused_or_survived_within_the_limits(name: str) -> None:
    """Images after it succeed."""
    await outcome_within_limits(FULL_SIZE_BOMBS[name]())
