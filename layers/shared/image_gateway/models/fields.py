"""Field types that the configuration and the forms share."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

MAX_SIDE = 16_384
"""The longest side in pixels; the largest that any supported engine's own schema allows (ComfyUI's `EmptyImage`)."""

MAX_JSON_DEPTH = 100
"""How deep JSON of the configuration may be nested."""

EngineName = Literal["openai", "comfyui", "automatic1111", "gemini"]


@dataclass(frozen=True, slots=True)
class Size:
    """An image's size in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `WIDTHxHEIGHT`; `auto` and the empty string give None, the engine's own choice.

        Raises:
            ValueError: the text is neither, or a side is not within 1 to `MAX_SIDE`.
        """
        if text in ("", "auto"):
            return None
        width, _, height = text.partition("x")
        if not all(side.isascii() and side.isdigit() and len(side) <= 9 for side in (width, height)):
            raise ValueError(f"must be WIDTHxHEIGHT, for example 1024x1024, or auto; got {text[:40]!r}")
        size = cls(int(width), int(height))
        if not (1 <= size.width <= MAX_SIDE and 1 <= size.height <= MAX_SIDE):
            raise ValueError(f"each side must be 1 to {MAX_SIDE} pixels; got {text[:40]!r}")
        return size

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def _size(text: str) -> str:
    text = text.strip().lower()
    try:
        Size.parse(text)
    except ValueError as error:
        raise PydanticCustomError("invalid_size", "{reason}", {"reason": str(error)}) from None
    return text


def _http_url(text: str) -> str:
    text = text.strip()
    if not text:
        return text
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or any(char.isspace() for char in text):
        raise PydanticCustomError("url", "must be an http:// or https:// URL with a host")
    if parts.username or parts.password:
        raise PydanticCustomError("url", "must not hold credentials; set the key or the auth field instead")
    if parts.query or parts.fragment:
        raise PydanticCustomError("url", "must not hold a query or a fragment")
    return text.rstrip("/")


def _json_object(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise PydanticCustomError("json", "must hold a JSON object: {reason}", {"reason": str(error)}) from None
    if not isinstance(parsed, dict):
        raise PydanticCustomError("json", "must hold a JSON object, for example {example}", {"example": '{"n": 1}'})
    return parsed


def valid_json(value: Any) -> Any:
    """The value, if it can be written as the JSON that everybody reads (RFC 8259) and is no deeper than `MAX_JSON_DEPTH`.

    Python reads more than it can write: NaN, halves of surrogate pairs, thousands of levels.
    """
    inner, depth = [value], 0
    while inner := [one for item in inner for one in _inside(item)]:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise PydanticCustomError("json", "must not be nested deeper than {most}", {"most": MAX_JSON_DEPTH})
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        raise PydanticCustomError("json", "must be JSON: no NaN, no Infinity, and text that is Unicode") from None
    return value


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _engine(value: object) -> object:
    return "automatic1111" if value == "" else value


def origin(url: str) -> tuple[str, str, int]:
    """The scheme, host and port of `url`: what decides whether a key may be sent to it."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


SizeText = Annotated[str, AfterValidator(_size)]
"""`WIDTHxHEIGHT` in pixels, `auto`, or empty for the engine's own default."""

HttpUrlText = Annotated[str, AfterValidator(_http_url)]
"""An http(s) URL without credentials, query or trailing slash; empty when not set."""

Engine = Annotated[EngineName, BeforeValidator(_engine)]
"""An engine's name; the empty string means `automatic1111`, as in the Open WebUI API."""

Params = Annotated[dict[str, Any] | None, BeforeValidator(_json_object), AfterValidator(valid_json)]
"""A JSON object, given as an object or as a string that holds one."""
