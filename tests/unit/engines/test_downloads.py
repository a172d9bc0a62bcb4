"""Downloads of images that a server returned by URL."""

import asyncio
from dataclasses import replace

import pytest

from image_gateway.engines.server import EngineServer
from image_gateway.errors import (
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    UnreachableUrl,
)
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.conftest import RecordedSleeps

pytestmark = pytest.mark.anyio


async def test_a_download_is_retried(server: EngineServer, state: SandboxState) -> None:
    """Downloading an image from the engine's own origin is free."""
    state.knobs.faults = [Fault(500), Fault(200, "image")]

    assert await server.download("/api/image") == b"image"
    assert state.record[-1].headers["x-key"] == "k"
    assert state.record[-1].query == {}


async def test_a_download_is_retried_while_the_operation_has_time(
    server: EngineServer, state: SandboxState, sleeps: RecordedSleeps
) -> None:
    """The image is paid for, so it is not lost because of a failure of some seconds."""
    state.knobs.faults = [*(Fault(503) for _ in range(5)), Fault(200, "image")]

    assert await server.download("image") == b"image"
    assert sleeps.seconds == [0.25, 0.5, 1, 2, 4]


async def test_an_image_of_another_origin_is_downloaded_again(server: EngineServer, sleeps: RecordedSleeps) -> None:
    """Servers of stored images fail for some moments too."""
    failures: list[GatewayError] = [UnreachableUrl("images.example answered 503")] * 3

    async def fetch(_url: str) -> bytes:
        if failures:
            raise failures.pop()
        return b"image"

    connection = replace(server.connection, fetch=fetch)

    assert await replace(server, connection=connection).download("https://images.example/p.png") == b"image"
    assert sleeps.seconds == [0.25, 0.5, 1]


async def test_a_download_is_not_retried_for_longer_than_the_operation(
    server: EngineServer, state: SandboxState, sleeps: RecordedSleeps
) -> None:
    """Ten seconds here."""
    state.knobs.faults = [Fault(503, headers={"Retry-After": "9"}), Fault(503, headers={"Retry-After": "11"})]

    with pytest.raises(EngineUnavailable) as error:
        await server.download("image")

    assert (error.value.may_have_cost, sleeps.seconds) == (True, [9])


async def test_an_image_that_cannot_be_downloaded_has_cost(server: EngineServer, state: SandboxState) -> None:
    """The image was paid for."""
    state.knobs.faults = [Fault(404, {"error": "gone"})]

    with pytest.raises(EngineRejected, match="engine answered 404: gone") as error:
        await server.download("image")

    assert error.value.may_have_cost
    assert state.record[0].path == "/api/image"


async def test_an_image_of_another_origin_has_the_time_left(server: EngineServer) -> None:
    """The download is canceled after it."""

    async def hang(_url: str) -> bytes:
        await asyncio.sleep(5)
        return b""

    connection = replace(server.connection, fetch=hang, timeout=0.1)

    with pytest.raises(EngineTimeout) as error:
        await replace(server, connection=connection).download("https://elsewhere.example/p.png")
    assert error.value.may_have_cost
