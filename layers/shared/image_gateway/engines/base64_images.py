"""Images as base64 in engines' JSON."""

import string

from pydantic import ConfigDict, TypeAdapter, ValidationError

from image_gateway.errors import EngineUnavailable

_BASE64 = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64"))
"""Pydantic's decoder is several times as fast as the standard library's, which matters for megabytes."""

_WHITESPACE = string.whitespace.encode()


def decode_base64(text: object, engine: str) -> bytes:
    """Decode an image: base64 text with or without a `data:` prefix or line breaks, or bytes that are already decoded.

    Raises:
        EngineUnavailable: the text is not base64, or is truncated.
    """
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        if text.startswith("data:"):
            text = text.partition(",")[2]
        # Unlike `split`, this makes no text of each line, which could take more memory than the whole.
        data = from_base64(text.encode(errors="replace").translate(None, _WHITESPACE))
        if data:
            return data
    raise EngineUnavailable(f"{engine} returned an image that is not valid base64", may_have_cost=True)


def from_base64(text: bytes | bytearray) -> bytes:
    """Decode complete base64 with padding and without line breaks; return empty bytes for anything else."""
    try:
        data = _BASE64.validate_json(b'"' + text + b'"')
    except ValidationError:
        return b""
    # The decoder accepts missing padding and resolves JSON escapes, so only the length shows a truncated text.
    padding = len(text) - len(text.rstrip(b"=")) if text.endswith(b"=") else 0
    return data if len(text) % 4 == 0 and len(data) == len(text) // 4 * 3 - padding else b""
