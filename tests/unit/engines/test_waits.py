"""How long a server says to wait, in `Retry-After` or in the body."""

from dataclasses import replace
from typing import Any

import pytest

from image_gateway.engines.server import EngineServer
from image_gateway.errors import (
    EngineRateLimited,
    EngineUnavailable,
)
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio


async def test_a_wait_in_the_body_is_followed(server: EngineServer, state: SandboxState, sleeps: Any) -> None:
    """Some engines send the wait in the JSON."""
    state.knobs.faults = [Fault(429, {"wait": 3.5})]

    await replace(server, retry_delay=lambda body: body["wait"]).send("POST", "/a")

    assert sleeps.seconds == [3.5]


@pytest.mark.parametrize("text", ["soon", "", "nan", "inf", "Mon, 01 Jan 99999999999 00:00:00 GMT"])
async def test_an_unusable_retry_after_is_ignored(
    server: EngineServer, state: SandboxState, sleeps: Any, text: str
) -> None:
    """The gateway's own waits apply."""
    state.knobs.faults = [Fault(429, headers={"Retry-After": text}, times=-1)]

    with pytest.raises(EngineRateLimited) as error:
        await server.send("POST", "/a")

    assert error.value.retry_after is None
    assert sleeps.seconds == [0.25, 0.5]


@pytest.mark.parametrize("text", ["-3", "0", "Mon, 05 Jan 2026 10:00:00 GMT"])
async def test_a_retry_after_in_the_past_means_no_wait(
    server: EngineServer, state: SandboxState, sleeps: Any, text: str
) -> None:
    """Negative numbers and past dates count as 0."""
    state.knobs.faults = [Fault(503, headers={"Retry-After": text})]

    await server.send("POST", "/a")

    assert sleeps.seconds == [0.0]


async def test_a_retry_after_may_be_a_date(server: EngineServer, state: SandboxState) -> None:
    """A distant date is returned in seconds."""
    state.knobs.faults = [Fault(503, headers={"Retry-After": "Fri, 01 Jan 2100 10:00:00 GMT"})]

    with pytest.raises(EngineUnavailable) as error:
        await server.send("POST", "/a")

    assert error.value.retry_after
    assert error.value.retry_after > 3600


async def test_a_wait_longer_than_the_time_left_is_not_started(
    server: EngineServer, state: SandboxState, sleeps: Any
) -> None:
    """The error is raised at once."""
    state.knobs.faults = [Fault(429, headers={"Retry-After": "4"})]
    server = replace(server, connection=replace(server.connection, timeout=3.0)).with_operation_deadline()

    with pytest.raises(EngineRateLimited) as error:
        await server.send("POST", "/a")

    assert (sleeps.seconds, error.value.retry_after) == ([], 4.0)
