"""Images inside engines' JSON."""

import binascii

from pydantic import ConfigDict, TypeAdapter, ValidationError

from image_gateway.errors import EngineUnavailable

_BASE64 = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64"))
"""Pydantic's decoder: several times as fast as the standard library's, which matters with megabytes."""


def decode_base64(text: object, engine: str) -> bytes:
    """The bytes of an image given as base64, with or without a `data:` prefix or line breaks, or decoded already.

    Raises:
        EngineUnavailable: it is no base64, or cut off.
    """
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        if text.startswith("data:"):
            text = text.partition(",")[2]
        data = from_base64(text.encode(errors="replace")) or _decoded_in_lines(text)
        if data:
            return data
    raise EngineUnavailable(f"{engine} answered an image that is not valid base64", may_have_cost=True)


def from_base64(text: bytes | bytearray) -> bytes:
    """The bytes that a whole piece of base64 stands for: padded, without line breaks. Empty where it is none such."""
    try:
        data = _BASE64.validate_json(b'"' + text + b'"')
    except ValidationError:
        return b""
    # The decoder does not ask for padding, and undoes JSON's escapes: only the length shows what was cut off.
    padding = len(text) - len(text.rstrip(b"=")) if text.endswith(b"=") else 0
    return data if len(text) % 4 == 0 and len(data) == len(text) // 4 * 3 - padding else b""


def _decoded_in_lines(text: str) -> bytes:
    try:
        # Without the strict mode, whatever is not base64 is skipped in silence and the rest decoded.
        return binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return b""
