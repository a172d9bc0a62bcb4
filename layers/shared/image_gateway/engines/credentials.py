"""Headers with a server's key: as the engine's own API wants it, or as the connection says."""

import base64
from collections.abc import Mapping

from image_gateway.engines.connection import Connection


def basic(pair: str) -> dict[str, str]:
    """Return the header of HTTP Basic for `username:password` (RFC 7617, in UTF-8)."""
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def credentials(connection: Connection, key: str, own: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers that a server gets the key in; none without a key.

    Args:
        connection: says how the key is sent.
        key: the key; `username:password` for HTTP Basic.
        own: the headers with the key as the engine's own API wants it.
    """
    auth = connection.access.auth if connection.access else "auto"
    if not key or auth == "none":
        return {}
    if auth == "bearer":
        return {"Authorization": f"Bearer {key}"}
    if auth == "basic":
        return basic(key)
    # Header names are not case-sensitive. The providers write these in their documentation.
    names = {"api-key": "api-key", "x-api-key": "X-API-Key"}
    return {names[auth]: key} if auth in names else own
