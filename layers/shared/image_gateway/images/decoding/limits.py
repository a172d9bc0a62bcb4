"""How much memory and CPU time a process may use for one image.

Both grow with the number of pixels that the image's header announces, up to a maximum. So a header that announces fewer
pixels than follow only lowers them. Measured figures are in docs/limits.md.
"""

SMALL_MEMORY = 256 * 2**20
"""Memory that most images are decoded with, in bytes: JPEG of 12 megapixels, and what engines make."""
LARGE_MEMORY = 800 * 2**20
"""Memory that no image may exceed, in bytes."""
MAX_GROWTH = 24 * 2**20
"""A process whose memory has grown by more bytes than this is replaced after an image."""
PROCESS_MEMORY = 28 * 2**20 + MAX_GROWTH
"""Most memory of a process that has no image, in bytes."""
TOTAL_MEMORY = SMALL_MEMORY + LARGE_MEMORY + 2 * PROCESS_MEMORY
"""Most memory that all decoding of one function uses: that of one small and one large image at the same time."""

MAX_RESPONSE_BYTES = 100_000_000
"""Most bytes that a decoding process may return: as many as all inputs of an edit may have together."""

_MEMORY_PER_IMAGE = 64 * 2**20
_MEMORY_PER_ENCODED_BYTE = 3
_SECONDS_PER_IMAGE = 1.0
_SECONDS_PER_MEGAPIXEL = 0.15
_CONVERSION_SECONDS = 3.0
"""What a conversion may take in addition, because it compresses more thoroughly."""


def required_memory(encoded_bytes: int, pixels: int = 0, bytes_per_pixel: int = 0) -> int:
    """Return the bytes of memory that an image with this header may use, beyond those of the process itself."""
    return _MEMORY_PER_IMAGE + _MEMORY_PER_ENCODED_BYTE * encoded_bytes + bytes_per_pixel * pixels


def cpu_seconds(pixels: int = 0, *, conversion: bool = False) -> float:
    """Return the seconds of CPU time that an image with this header may use."""
    seconds = _SECONDS_PER_IMAGE + _SECONDS_PER_MEGAPIXEL * pixels / 1_000_000
    return seconds + (_CONVERSION_SECONDS if conversion else 0)
