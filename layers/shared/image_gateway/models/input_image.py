"""Input images as engines get them. This module imports nothing, because decoding processes load it too."""

from dataclasses import dataclass, field

MAX_SIDE = 16_384
"""Longest side of an image in pixels: the largest that a supported engine's schema allows (ComfyUI's `EmptyImage`)."""


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image to edit, or a mask: validated, turned upright, without metadata."""

    data: bytes = field(repr=False)
    content_type: str
    width: int
    height: int

    @property
    def extension(self) -> str:
        """Return the file name extension, without the dot."""
        return self.content_type.removeprefix("image/").replace("jpeg", "jpg")
