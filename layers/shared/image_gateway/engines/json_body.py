"""Reads a JSON response while it arrives and decodes its images on the way, so that no base64 is ever held whole.

An image is recognized by its form: kilobytes of base64 after a quotation mark, which in JSON can only be a string. It
is replaced by an unpredictable marker. Once the JSON has been parsed, the decoded image takes the marker's place. A
string that turns out to be something else stays in the JSON unchanged.
"""

import io
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from image_gateway.engines.base64_images import from_base64

MAX_JSON_VALUES = 2_000_000
"""Most values of a response that is parsed. They take up to 226 MB: 113 bytes each, measured with pydantic 2.13.

The longest legitimate responses are ComfyUI's queue with many long workflows, and lists of models.
"""
_BEFORE_VALUES = (b"[", b"{", b":", b",")
"""What stands before each value but the first. In texts, these count too."""
_MIN_IMAGE_CHARS = 4_096
_DECODE_CHARS = 65_536
_RANDOM_BYTES = 16
_NUMBER_DIGITS = 8


class JsonBody:
    """The body of a response, written chunk by chunk.

    Attributes:
        images: the decoded images that were taken out, by the markers that replace them in the JSON.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._values = self._counted = 0
        self.images: dict[str, bytes] = {}
        self._random = secrets.token_hex(_RANDOM_BYTES)
        self._image: io.BytesIO | None = None
        self._base64 = bytearray()

    def write(self, chunk: bytes) -> None:
        """Add the next chunk."""
        if self._image is None:
            self._text += chunk
            # Search the new text and one minimum image before it; anything earlier was searched before.
            self._find_image_start(len(chunk) + _MIN_IMAGE_CHARS)
            self._values += count_values(self._text, self._counted)
            self._counted = len(self._text)
            return
        base64, quote, rest = chunk.partition(b'"')
        self._base64 += base64
        if quote:
            self._finish_image(self._image)
            self.write(quote + rest)
        elif len(self._base64) >= _DECODE_CHARS:
            self._decode(self._image)

    @property
    def has_too_many_values(self) -> bool:
        """Whether the JSON has more than `MAX_JSON_VALUES` values by now, so that it cannot be parsed."""
        return self._values > MAX_JSON_VALUES

    def getvalue(self) -> bytearray:
        """Return the JSON, after the last chunk. An image without an end stays in the JSON as base64."""
        if self._image:
            self._restore_text(self._image)
        return self._text

    def close(self) -> None:
        """Release the memory."""
        self._text, self._base64, self._image, self.images = bytearray(), bytearray(), None, {}

    def _find_image_start(self, window: int) -> None:
        """Begin an image if the text ends with the beginning of one. Only the last `window` bytes are searched."""
        start = self._text.rfind(b'"', -window) + 1
        if not start or len(self._text) - start < _MIN_IMAGE_CHARS or self._text[start - 2 : start - 1] == b"\\":
            return
        if self._text.startswith(b"data:", start):
            start = self._text.find(b",", start) + 1 or start
        self._image, self._base64 = io.BytesIO(), self._text[start:]
        del self._text[start:]
        self._decode(self._image)

    def _decode(self, image: io.BytesIO) -> None:
        """Decode all but the last characters: padding is valid only at the end."""
        whole = (len(self._base64) - 1) // 4 * 4
        data = from_base64(self._base64[:whole])
        if len(data) == whole // 4 * 3:
            image.write(data)
            del self._base64[:whole]
        else:
            self._restore_text(image)

    def _finish_image(self, image: io.BytesIO) -> None:
        data = from_base64(self._base64)
        if not data:
            self._restore_text(image)
            return
        image.write(data)
        marker = f"{self._random}{len(self.images):0{_NUMBER_DIGITS}}"
        self.images[marker] = image.getvalue()
        self._text += marker.encode()
        self._image, self._base64 = None, bytearray()

    def _restore_text(self, image: io.BytesIO) -> None:
        """Put a string back into the JSON that is not an image, or not one that can be decoded piece by piece."""
        self._text += b64encode(image.getvalue()) + self._base64
        self._image, self._base64 = None, bytearray()


def count_values(text: bytes | bytearray, start: int = 0) -> int:
    """Return how many values the JSON from index `start` has at most."""
    return sum(text.count(mark, start) for mark in _BEFORE_VALUES)


def restore_images(value: Any, images: Mapping[str, bytes]) -> Any:
    """Return parsed JSON with `images` in place of their markers. A `data:` prefix before a marker is dropped.

    Lists and objects are changed in place, because a copy of them would double the memory.
    """
    if isinstance(value, str):
        return images.get(value[-2 * _RANDOM_BYTES - _NUMBER_DIGITS :], value)
    if isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = restore_images(item, images)
    if isinstance(value, dict):
        for name, item in value.items():
            value[name] = restore_images(item, images)
    return value
