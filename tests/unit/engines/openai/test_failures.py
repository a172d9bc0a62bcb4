"""The `openai` engine: refusals, failures, and what is tried again."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineError, EngineRateLimited, EngineRejected, EngineTimeout, EngineUnavailable
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
Connect = Callable[..., Connection]
Ask = Callable[..., ImageRequest]


async def test_refused_size_has_the_engines_words(openai_engine: MakeEngine, ask: Ask) -> None:
    """A size that the model does not take is refused in its own words, naming the parameter."""
    with pytest.raises(EngineRejected, match="Width and height must both be divisible by 16") as error:
        await openai_engine(params={"size": "65x65"}).generate(ask())
    assert (error.value.param, error.value.engine_code) == ("size", "invalid_value")


async def test_unknown_model(openai_engine: MakeEngine, ask: Ask) -> None:
    """A model that the engine does not have is refused in its own words."""
    with pytest.raises(EngineRejected, match="The model 'dall-e-3' does not exist"):
        await openai_engine().generate(ask(model="dall-e-3"))


@pytest.mark.parametrize("key", ["short-key", "sk-proj-0123456789abcdefghijklmnop"])
async def test_refused_key_is_not_repeated(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Connect, ask: Ask, key: str
) -> None:
    """A key that the engine refuses, and echoes wholly or in part, is in no message."""
    openai_state.knobs.key = "another"

    with pytest.raises(EngineRejected) as error:
        await openai_engine(connect(secrets=(key,)), key=key).generate(ask())

    assert error.value.detail == (
        "openai answered 401: Incorrect API key provided: ***. (check the engine's key in the configuration)"
    )


async def test_unreachable(openai_engine: MakeEngine, waits: Any, ask: Ask) -> None:
    """A server that is not there is tried three times, and cannot have cost anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

        with pytest.raises(EngineUnavailable, match=r"openai cannot be reached \(connection refused\)") as error:
            await openai_engine(url=url).generate(ask())

    assert waits.seconds == [0.25, 0.5]
    assert not error.value.may_have_cost


async def test_too_slow(openai_engine: MakeEngine, openai_state: SandboxState, loop_time: LoopTime, ask: Ask) -> None:
    """Beyond the timeout the engine is not asked again, as it may be painting; the message names the setting."""
    openai_state.knobs.latency = LONG
    generating = asyncio.create_task(openai_engine().generate(ask()))
    await until(lambda: openai_state.in_flight == 1)

    loop_time.advance(10)

    with pytest.raises(EngineTimeout, match=r"did not answer within 10 s \(IMAGE_ENGINE_TIMEOUT\)") as error:
        await generating
    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


async def test_rate_limit_is_waited_for(
    openai_engine: MakeEngine, openai_state: SandboxState, waits: Any, ask: Ask
) -> None:
    """After a 429 the request is made again once the time it names has passed."""
    openai_state.knobs.faults = [Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "2"})]

    result = await openai_engine().generate(ask())

    assert waits.seconds == [2.0]
    assert len(result.images) == 1


async def test_rate_limit_is_given_up(
    openai_engine: MakeEngine, openai_state: SandboxState, waits: Any, ask: Ask
) -> None:
    """After two more attempts the caller is told how long to wait."""
    openai_state.knobs.faults = [Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "3"}, times=-1)]

    with pytest.raises(EngineRateLimited, match="openai answered 429: slow down") as error:
        await openai_engine().generate(ask())

    assert waits.seconds == [3.0, 3.0]
    assert error.value.retry_after == 3.0
    assert not error.value.may_have_cost


async def test_long_wait_is_the_callers(
    openai_engine: MakeEngine, openai_state: SandboxState, waits: Any, ask: Ask
) -> None:
    """A wait too long for one request is handed on at once."""
    openai_state.knobs.faults = [Fault(429, "", {"Retry-After": "60"})]

    with pytest.raises(EngineRateLimited) as error:
        await openai_engine().generate(ask())

    assert (waits.seconds, error.value.retry_after) == ([], 60.0)


async def test_service_unavailable_is_tried_again(
    openai_engine: MakeEngine, openai_state: SandboxState, waits: Any, ask: Ask
) -> None:
    """A 503 did no work, so the request is made again."""
    openai_state.knobs.faults = [Fault(503, {"error": {"message": "overloaded"}})]

    assert len((await openai_engine().generate(ask())).images) == 1
    assert waits.seconds == [0.25]


async def test_html_failure(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """A proxy's HTML page is shown as its words, and the request is not made again."""
    page = "<html><head><style>p{}</style></head><body><h1>Bad&nbsp;day</h1><p>nginx</p></body></html>"
    openai_state.knobs.faults = [Fault(500, page, times=-1)]

    with pytest.raises(EngineUnavailable) as error:
        await openai_engine().generate(ask())

    assert error.value.detail == "openai answered 500: Bad day nginx"
    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


async def test_broken_off(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """An answer that breaks off is not asked for again: the image may have been painted."""
    openai_state.knobs.faults = [Fault(0)]

    with pytest.raises(EngineUnavailable, match="openai broke off") as error:
        await openai_engine().generate(ask())

    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504])
async def test_echoed_key_is_hidden_whatever_the_status(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Connect, ask: Ask, status: int
) -> None:
    """No status carries a key that the engine repeats into a message."""
    openai_state.knobs.faults = [Fault(status, {"error": {"message": "I know sk-secret"}}, times=-1)]

    with pytest.raises(EngineError) as error:
        await openai_engine(connect(secrets=("sk-secret",)), key="sk-secret").generate(ask())

    assert f"openai answered {status}: I know ***" in error.value.detail
