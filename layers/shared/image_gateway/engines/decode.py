"""Pictures inside engines' JSON."""

import binascii

from image_gateway.errors import EngineUnavailable


def decode_base64(text: object, engine: str) -> bytes:
    """The bytes of a picture given as base64, with or without a `data:` prefix or line breaks.

    Raises:
        EngineUnavailable: it is no base64, or cut off.
    """
    if isinstance(text, str):
        if text.startswith("data:"):
            text = text.partition(",")[2]
        try:
            # Without the strict mode, whatever is not base64 is skipped in silence and the rest decoded.
            data = binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            data = b""
        if data:
            return data
    raise EngineUnavailable(f"{engine} answered a picture that is not valid base64", may_have_cost=True)
