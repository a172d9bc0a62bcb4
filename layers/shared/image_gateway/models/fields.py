"""Field types of the configuration, the forms and the tokens."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from image_gateway.models.input_image import MAX_SIDE

MAX_JSON_DEPTH = 100
"""Most levels of nesting in JSON of the configuration."""

_REQUEST_NAMES = ("prompt", "model", "n", "image", "images", "mask", "response_format", "stream")
"""Names in requests to OpenAI-compatible servers that decide what is made and paid."""

EngineName = Literal["openai", "comfyui", "automatic1111", "gemini"]


@dataclass(frozen=True, slots=True)
class Size:
    """An image's size in pixels."""

    width: int
    height: int

    @classmethod
    def find(cls, value: object) -> Self | None:
        """Return the size that a text is; None if it names none, or if the value is no such text."""
        try:
            return cls.parse(value) if isinstance(value, str) else None
        except ValueError:
            return None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse `WIDTHxHEIGHT`. Return None for `auto` and the empty string: the engine chooses the size.

        Raises:
            ValueError: the text has another form, or a side is not within 1 to `MAX_SIDE`.
        """
        if text in ("", "auto"):
            return None
        width, _, height = text.partition("x")
        if not all(side.isascii() and side.isdigit() and len(side) <= 9 for side in (width, height)):
            raise ValueError(
                f"must be WIDTHxHEIGHT such as 1024x1024, a ratio such as 16:9, 1K, 2K, 4K or auto; got {text[:40]!r}"
            )
        size = cls(int(width), int(height))
        if not (1 <= size.width <= MAX_SIDE and 1 <= size.height <= MAX_SIDE):
            raise ValueError(f"each side must be 1 to {MAX_SIDE} pixels; got {text[:40]!r}")
        return size

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


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
        raise PydanticCustomError("url", "must not contain credentials: set the key or the auth field instead")
    if parts.query or parts.fragment:
        raise PydanticCustomError("url", "must not contain a query or a fragment")
    return text.rstrip("/")


def _json_object(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise PydanticCustomError("json", "must contain a JSON object: {reason}", {"reason": str(error)}) from None
    if not isinstance(parsed, dict):
        raise PydanticCustomError("json", "must contain a JSON object, for example {example}", {"example": '{"n": 1}'})
    return parsed


def _names_by_field(value: object) -> object:
    """Accept a list of fields, each with its own name at the server."""
    return {field: field for field in value} if isinstance(value, list) else value


def _free_name(name: str) -> str:
    if name in _REQUEST_NAMES:
        raise PydanticCustomError("name", "is a field of every request: choose another name")
    return name


def valid_json(value: Any) -> Any:
    """Return `value` unchanged if it is valid JSON (RFC 8259), nested at most `MAX_JSON_DEPTH` levels deep.

    Python's parser accepts more than JSON allows: NaN, halves of surrogate pairs, thousands of levels.

    Raises:
        PydanticCustomError: the value is no such JSON.
    """
    if is_deeper(value, MAX_JSON_DEPTH):
        raise PydanticCustomError("json", "must not be nested deeper than {max_depth}", {"max_depth": MAX_JSON_DEPTH})
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        raise PydanticCustomError("json", "must be valid JSON, without NaN, Infinity and lone surrogates") from None
    return value


def is_deeper(value: Any, levels: int) -> bool:
    """Return whether JSON is nested more than `levels` deep."""
    level, depth = [value], 0
    while level := [child for item in level for child in _children(item)]:
        depth += 1
        if depth > levels:
            return True
    return False


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def one_of(literal: Any) -> WithJsonSchema:
    """Document a text of a response as one of a `Literal`'s values.

    Other values are shown as they are: a newer version, before a rollback, may have stored them.
    """
    return WithJsonSchema({"type": "string", "enum": list(get_args(literal))})


def _engine_or_default(value: object) -> object:
    return "automatic1111" if value == "" else value


def origin(url: str) -> tuple[str, str, int]:
    """Return the scheme, host and port of `url`, which decide whether a key may be sent to it."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)


HttpUrlText = Annotated[str, AfterValidator(_http_url)]
"""An http(s) URL without credentials, query, fragment or trailing slash; empty if not set."""

Engine = Annotated[EngineName, BeforeValidator(_engine_or_default)]
"""An engine's name; the empty string means `automatic1111`, as in the Open WebUI API."""

ExtraField = Literal["seed", "steps", "negative_prompt", "aspect_ratio"]
"""A request field that OpenAI's own API does not have."""

_ServerName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"), AfterValidator(_free_name)]

ExtraFields = Annotated[dict[ExtraField, _ServerName], BeforeValidator(_names_by_field)]
"""Request field → its name at a server. A list of fields is read as fields with their own names."""

Params = Annotated[dict[str, Any] | None, BeforeValidator(_json_object), AfterValidator(valid_json)]
"""A JSON object, or a string that contains one, which is parsed. Null and a blank string mean None."""
