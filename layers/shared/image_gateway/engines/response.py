"""An engine's HTTP response, and what can be read from its body and headers."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic_core import from_json

from image_gateway.engines.json_body import restore_images

NOT_JSON: Any = object()
"""Stands for a body that is not JSON. `None` would not do, since JSON may be `null`."""


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

    def json(self) -> Any:
        """Return the body's JSON, or `NOT_JSON`. Long images are `bytes` in it, short ones base64 text."""
        try:
            body = from_json(self.content, cache_strings=False)
        except ValueError:
            body = _parse_leniently(self.content)
        return restore_images(body, self.images) if self.images else body

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
    it.
    """
    try:
        return json.loads(json.dumps(json.loads(content), ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return NOT_JSON
