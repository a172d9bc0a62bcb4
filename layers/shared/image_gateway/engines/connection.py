"""What an engine needs to reach its server."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx


@dataclass(frozen=True, slots=True)
class Connection:
    """Everything an engine needs to reach its server.

    Attributes:
        client: the process's HTTP client. It carries no credentials of its own.
        fetch: downloads a URL of another origin; only public addresses are allowed, as for callers' URLs.
        timeout: total seconds for one operation.
        secrets: strings that must not appear in any message.
        url_field: the configuration field with the server's URL. Messages name the field instead of the address,
            because not every reader of an error may know the address.
        sleep: waits for a number of seconds.
    """

    client: httpx.AsyncClient
    fetch: Callable[[str], Awaitable[bytes]]
    timeout: float
    secrets: tuple[str, ...] = field(default=(), repr=False)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    url_field: str = "the engine's URL"
