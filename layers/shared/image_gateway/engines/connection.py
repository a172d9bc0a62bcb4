"""What an engine needs to reach its server."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from image_gateway.engines.protocol import ImageConverter
from image_gateway.errors import NotConfigured
from image_gateway.models.servers import ServerAccess


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything an engine needs to reach its server.

    Attributes:
        client: the process's HTTP client. It carries no credentials of its own.
        fetch: downloads a URL of another origin; only public addresses are allowed, as for callers' URLs.
        timeout: total seconds for one operation.
        secrets: strings that must not appear in any message.
        convert_image: converts input images and masks to what the engine expects.
        url_field: the configuration field with the server's URL. Messages name the field instead of the address,
            because not every reader of an error may know the address.
        access: what a named connection says of its server; None for the configuration's own.
        sleep: waits for a number of seconds.
        repeats: whether a request that failed at no cost is sent again to the same server.
    """

    client: httpx.AsyncClient
    fetch: Callable[[str], Awaitable[bytes]]
    timeout: float
    secrets: tuple[str, ...] = field(default=(), repr=False)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    url_field: str = "the engine's URL"
    access: ServerAccess | None = None
    repeats: bool = True
    convert_image: ImageConverter = field(kw_only=True)

    @property
    def key_name(self) -> str:
        """What messages call the server's key."""
        return f"the key of the connection {self.access.connection}" if self.access else "the engine's key"

    @property
    def timeout_name(self) -> str:
        """What messages call the field with the server's timeout."""
        return f"timeout_seconds of {self.access.connection}" if self.access else "IMAGE_ENGINE_TIMEOUT"

    def not_set(self, field: str, member: str, more: str = "") -> NotConfigured:
        """Return the error for a value that the server needs and does not have.

        Args:
            field: the value's field of the configuration.
            member: its name in a connection.
            more: what else to say, with the punctuation before it.
        """
        if self.access:
            return NotConfigured(f"The connection {self.access.connection} has no {member}{more}", field=member)
        return NotConfigured(f"{field} is not set{more}", field=field)
