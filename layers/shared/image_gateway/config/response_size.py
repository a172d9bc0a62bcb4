"""The size of a response with the whole configuration, which must fit into the 6 MB that Lambda allows."""

import json

from image_gateway.errors import TooLarge
from image_gateway.models.config import ImagesConfig

MAX_RESPONSE_BYTES = 5_500_000
"""Largest configuration as Lambda carries it, in bytes: its limit (6 MB) less some for headers."""


def check_response_size(config: ImagesConfig) -> None:
    """Check that the routes of the configuration can return it.

    Raises:
        TooLarge: they cannot; `field` is the longest field.
    """
    size = _carried_bytes(config.masked().model_dump_json())
    if size > MAX_RESPONSE_BYTES:
        fields = {name: _carried_bytes(json.dumps(value)) for name, value in config.masked().model_dump().items()}
        longest = max(fields, key=lambda name: fields[name])
        raise TooLarge(
            f"The configuration would take {size:,} bytes of a response, which may have {MAX_RESPONSE_BYTES:,}: "
            f"shorten {longest}",
            field=longest,
        )


def _carried_bytes(body: str) -> int:
    """Return the size of a response's body in the JSON in which a function returns it to Lambda."""
    return len(json.dumps(body, ensure_ascii=False).encode())
