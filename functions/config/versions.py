"""The version of the configuration, which responses show as their `ETag`, and errors of changes to an entry of it."""

from fastapi import Response

from image_gateway.config.versioned import VersionedConfig
from image_gateway.container import Gateway
from image_gateway.errors import Busy, Conflict, GatewayError, NotConfigured, PreconditionFailed, TooLarge

CHANGE_ERRORS: tuple[type[GatewayError], ...] = (NotConfigured, Conflict, PreconditionFailed, TooLarge, Busy)
"""What storing or deleting a connection, route or workflow can fail with."""


async def read_current(gateway: Gateway, response: Response) -> VersionedConfig:
    """Return the configuration, and show its version."""
    current = await gateway.configs.read()
    response.headers["ETag"] = current.etag
    return current


def show_stored(response: Response, current: VersionedConfig, *, created: bool) -> None:
    """Show the version of a configuration in which an entry was stored, and whether the entry is new (201)."""
    response.status_code = 201 if created else 200
    response.headers["ETag"] = current.etag
