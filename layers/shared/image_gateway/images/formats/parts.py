"""The limit for the parts of a file, whatever the format calls them."""

from collections.abc import Iterator
from typing import TypeVar

MAX_PARTS = 100_000
"""Most parts of a file: an image with more was made to keep a program busy. Large images have a few thousands."""

Part = TypeVar("Part")


def limited(parts: Iterator[Part]) -> Iterator[Part]:
    """Yield the parts of a file.

    Raises:
        ValueError: there are more than `MAX_PARTS`.
    """
    for number, part in enumerate(parts):
        if number == MAX_PARTS:
            raise ValueError(f"the image has more than {MAX_PARTS} parts")
        yield part
