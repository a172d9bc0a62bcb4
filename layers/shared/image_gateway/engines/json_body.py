"""An answer's JSON as it arrives: the pictures in it are decoded on the way, so that no base64 is ever held whole.

A picture is found by what it looks like: kilobytes of base64 behind a quotation mark, which in JSON only a string can
be. It is replaced by a mark that nobody can foresee, and put back, decoded, once the rest has been parsed. What turns
out to be something else stays in the JSON as it came.
"""

import io
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from image_gateway.engines.decode import from_base64

_SHORTEST = 4_096
_SLICE = 65_536
_RANDOM_BYTES = 16
_DIGITS = 8


class JsonBody:
    """The body of an answer, taken chunk by chunk.

    Attributes:
        pictures: what was taken out, decoded, by the marks that now stand in the JSON.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self.pictures: dict[str, bytes] = {}
        self._random = secrets.token_hex(_RANDOM_BYTES)
        self._picture: io.BytesIO | None = None
        self._base64 = bytearray()

    def write(self, chunk: bytes) -> None:
        """Take the next chunk."""
        if self._picture is None:
            self._text += chunk
            # Back to where the text ended before, less the shortest picture: what was refused is not looked at again.
            self._look_back(len(chunk) + _SHORTEST)
            return
        base64, quote, rest = chunk.partition(b'"')
        self._base64 += base64
        if quote:
            self._end(self._picture)
            self.write(quote + rest)
        elif len(self._base64) >= _SLICE:
            self._decode(self._picture)

    def getvalue(self) -> bytearray:
        """The JSON, once all chunks are there. A picture whose end is missing is none."""
        if self._picture:
            self._give_back(self._picture)
        return self._text

    def close(self) -> None:
        """Let go of all that came."""
        self._text, self._base64, self._picture, self.pictures = bytearray(), bytearray(), None, {}

    def _look_back(self, window: int) -> None:
        """Begin a picture, if the text ends in the beginning of one."""
        start = self._text.rfind(b'"', -window) + 1
        if not start or len(self._text) - start < _SHORTEST or self._text[start - 2 : start - 1] == b"\\":
            return
        if self._text.startswith(b"data:", start):
            start = self._text.find(b",", start) + 1 or start
        self._picture, self._base64 = io.BytesIO(), self._text[start:]
        del self._text[start:]
        self._decode(self._picture)

    def _decode(self, picture: io.BytesIO) -> None:
        """Decode what is there but the last characters: padding is right at the end and nowhere else."""
        whole = (len(self._base64) - 1) // 4 * 4
        data = from_base64(self._base64[:whole])
        if len(data) == whole // 4 * 3:
            picture.write(data)
            del self._base64[:whole]
        else:
            self._give_back(picture)

    def _end(self, picture: io.BytesIO) -> None:
        data = from_base64(self._base64)
        if not data:
            self._give_back(picture)
            return
        picture.write(data)
        mark = f"{self._random}{len(self.pictures):0{_DIGITS}}"
        self.pictures[mark] = picture.getvalue()
        self._text += mark.encode()
        self._picture, self._base64 = None, bytearray()

    def _give_back(self, picture: io.BytesIO) -> None:
        """Put into the JSON what was taken for a picture and is none, or none that is decoded so simply."""
        self._text += b64encode(picture.getvalue()) + self._base64
        self._picture, self._base64 = None, bytearray()


def put_back(value: Any, pictures: Mapping[str, bytes]) -> Any:
    """JSON with `pictures` in the place of their marks, and of any `data:` prefix before those."""
    if isinstance(value, str):
        return pictures.get(value[-2 * _RANDOM_BYTES - _DIGITS :], value)
    if isinstance(value, list):
        return [put_back(item, pictures) for item in value]
    if isinstance(value, dict):
        return {name: put_back(item, pictures) for name, item in value.items()}
    return value
