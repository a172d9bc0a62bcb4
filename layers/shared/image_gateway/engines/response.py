"""An engine's HTTP response, and what can be read from its body and headers."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic_core import from_json

from image_gateway.engines.json_body import MAX_JSON_VALUES, count_values, restore_images

NOT_JSON: Any = object()
"""Stands for a body that is not JSON. `None` would not do, since JSON may be `null`."""

_MAX_BYTES = 192 * 2**20
"""Longest body that is parsed, without the images that were taken out. Parsing takes up to four times as much."""
_MAX_WIDE_BYTES = 64 * 2**20
"""Longest body that is parsed if some of its text is not ASCII. One such character can make a text five times as long
in memory. An image is ASCII."""
_WIDE_ESCAPE = re.compile(rb"\\u(?!00)")
"""An escape of a character that a text in memory needs more than one byte for."""
_MAX_LENIENT_BYTES = 32 * 2**20
"""Longest body that is parsed by Python's own parser, which makes several copies of it."""
_MAX_DIGITS = 400


@dataclass(frozen=True, slots=True)
class EngineResponse:
    """An engine's complete response.

    Attributes:
        content: the body, up to the limit on its length. Of JSON, without the images in `images`.
        images: decoded images that were taken out of `content`, by the markers that replace them there.
    """

    status: int
    reason: str
    headers: httpx.Headers
    content: bytes | bytearray = field(repr=False)
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def is_success(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    def oversize(self) -> str | None:
        """Return what makes the body too large to be parsed as JSON, in a few words; None if it can be parsed."""
        content = self.content
        # A shorter body cannot have as many values.
        if len(content) > MAX_JSON_VALUES and count_values(content) > MAX_JSON_VALUES:
            return f"JSON of more than {MAX_JSON_VALUES:,} values"
        if len(content) > _MAX_BYTES:
            return f"more than {_MAX_BYTES >> 20} MB of JSON beside its images"
        if len(content) > _MAX_WIDE_BYTES and not (content.isascii() and _WIDE_ESCAPE.search(content) is None):
            return f"more than {_MAX_WIDE_BYTES >> 20} MB of text that is not ASCII"
        return None

    def json(self) -> Any:
        """Return the body's JSON, or `NOT_JSON`. Long images are `bytes` in it, short ones base64 text.

        JSON that is too large to be parsed is also `NOT_JSON`: see `oversize`.
        """
        if self.oversize():
            return NOT_JSON
        try:
            body = from_json(self.content, cache_strings=False)
        except ValueError:
            body = _parse_leniently(self.content)
        try:
            return restore_images(body, self.images) if self.images else body
        except RecursionError:
            return NOT_JSON

    def retry_after(self) -> float | None:
        """Return the `Retry-After` header in seconds, from a number or a date; None where it is absent or unusable."""
        value = self.headers.get("retry-after", "").strip()
        try:
            seconds = float(value)
        except ValueError:
            try:
                seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
            except (ValueError, TypeError, OverflowError):
                return None
        return max(0.0, seconds) if math.isfinite(seconds) else None


def _parse_leniently(content: bytes | bytearray) -> Any:
    """Parse JSON that only Python's own parser accepts, such as with a byte order mark, or return `NOT_JSON`.

    Some servers cut a text inside a surrogate pair. The remaining half becomes a question mark, as nothing could store
    it. Numbers of more digits than Python converts become infinite.
    """
    if len(content) > _MAX_LENIENT_BYTES:
        return NOT_JSON
    try:
        body = json.loads(content, parse_int=_parse_int)
        return json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return NOT_JSON


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)
