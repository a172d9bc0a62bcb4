"""A connection for engines under test."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest

from image_gateway.engines.http import Connection
from image_gateway.errors import InvalidUrl


@dataclass
class Waits:
    """Stands for time: remembers every wait, in seconds, and takes none."""

    seconds: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
async def connect(waits: Waits, anyio_backend: str) -> AsyncIterator[Callable[..., Connection]]:
    """Make a `Connection`; `timeout` in seconds and `secrets` can be given. Foreign URLs are refused."""
    async with httpx.AsyncClient(trust_env=False) as client:

        async def refuse(url: str) -> bytes:
            raise InvalidUrl(f"{url} is not a public address")

        def make(timeout: float = 10.0, secrets: tuple[str, ...] = ()) -> Connection:
            return Connection(client, refuse, timeout, secrets, waits.sleep)

        yield make
