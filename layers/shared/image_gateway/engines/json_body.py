"""An answer's JSON as it arrives: the images in it are decoded on the way, so that no base64 is ever held whole.

An image is found by what it looks like: kilobytes of base64 behind a quotation mark, which in JSON only a string can
be. It is replaced by a mark that nobody can foresee, and put back, decoded, once the rest has been parsed. What turns
out to be something else stays in the JSON as it came.
"""

import io
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from image_gateway.engines.base64_images import from_base64

_SHORTEST = 4_096
_SLICE = 65_536
_RANDOM_BYTES = 16
_DIGITS = 8


class JsonBody:
    """The body of an answer, taken chunk by chunk.

    Attributes:
        images: what was taken out, decoded, by the marks that now stand in the JSON.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self.images: dict[str, bytes] = {}
        self._random = secrets.token_hex(_RANDOM_BYTES)
        self._image: io.BytesIO | None = None
        self._base64 = bytearray()

    def write(self, chunk: bytes) -> None:
        """Take the next chunk."""
        if self._image is None:
            self._text += chunk
            # Back to where the text ended before, less the shortest image: what was refused is not looked at again.
            self._look_back(len(chunk) + _SHORTEST)
            return
        base64, quote, rest = chunk.partition(b'"')
        self._base64 += base64
        if quote:
            self._end(self._image)
            self.write(quote + rest)
        elif len(self._base64) >= _SLICE:
            self._decode(self._image)

    def getvalue(self) -> bytearray:
        """The JSON, once all chunks are there. An image whose end is missing is none."""
        if self._image:
            self._give_back(self._image)
        return self._text

    def close(self) -> None:
        """Let go of all that came."""
        self._text, self._base64, self._image, self.images = bytearray(), bytearray(), None, {}

    def _look_back(self, window: int) -> None:
        """Begin an image, if the text ends in the beginning of one."""
        start = self._text.rfind(b'"', -window) + 1
        if not start or len(self._text) - start < _SHORTEST or self._text[start - 2 : start - 1] == b"\\":
            return
        if self._text.startswith(b"data:", start):
            start = self._text.find(b",", start) + 1 or start
        self._image, self._base64 = io.BytesIO(), self._text[start:]
        del self._text[start:]
        self._decode(self._image)

    def _decode(self, image: io.BytesIO) -> None:
        """Decode what is there but the last characters: padding is right at the end and nowhere else."""
        whole = (len(self._base64) - 1) // 4 * 4
        data = from_base64(self._base64[:whole])
        if len(data) == whole // 4 * 3:
            image.write(data)
            del self._base64[:whole]
        else:
            self._give_back(image)

    def _end(self, image: io.BytesIO) -> None:
        data = from_base64(self._base64)
        if not data:
            self._give_back(image)
            return
        image.write(data)
        mark = f"{self._random}{len(self.images):0{_DIGITS}}"
        self.images[mark] = image.getvalue()
        self._text += mark.encode()
        self._image, self._base64 = None, bytearray()

    def _give_back(self, image: io.BytesIO) -> None:
        """Put into the JSON what was taken for an image and is none, or none that is decoded so simply."""
        self._text += b64encode(image.getvalue()) + self._base64
        self._image, self._base64 = None, bytearray()


def put_back(value: Any, images: Mapping[str, bytes]) -> Any:
    """JSON with `images` in the place of their marks, and of any `data:` prefix before those."""
    if isinstance(value, str):
        return images.get(value[-2 * _RANDOM_BYTES - _DIGITS :], value)
    if isinstance(value, list):
        return [put_back(item, images) for item in value]
    if isinstance(value, dict):
        return {name: put_back(item, images) for name, item in value.items()}
    return value
