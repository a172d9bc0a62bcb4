"""The `openai` engine: refusals, failures and retries."""

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
MakeRequest = Callable[..., ImageRequest]


async def test_a_refused_size_has_the_engines_error_text(openai_engine: MakeEngine, make_request: MakeRequest) -> None:
    """The error also names the parameter."""
    with pytest.raises(EngineRejected, match="Width and height must both be divisible by 16") as error:
        await openai_engine(params={"size": "65x65"}).generate(make_request())
    assert (error.value.param, error.value.engine_code) == ("size", "invalid_value")


async def test_an_unknown_model_has_the_engines_error_text(
    openai_engine: MakeEngine, make_request: MakeRequest
) -> None:
    """A model that the engine does not have is rejected."""
    with pytest.raises(EngineRejected, match="The model 'dall-e-3' does not exist"):
        await openai_engine().generate(make_request(model="dall-e-3"))


@pytest.mark.parametrize("key", ["short-key", "sk-proj-0123456789abcdefghijklmnop"])
async def test_a_refused_key_is_not_repeated(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Connect, make_request: MakeRequest, key: str
) -> None:
    """A key that the engine refuses and repeats, in full or in part, is in no message."""
    openai_state.knobs.key = "another"

    with pytest.raises(EngineRejected) as error:
        await openai_engine(connect(secrets=(key,)), key=key).generate(make_request())

    assert error.value.detail == (
        "openai answered 401: Incorrect API key provided: ***. (check the engine's key in the configuration)"
    )


async def test_an_unreachable_server_is_called_three_times(
    openai_engine: MakeEngine, sleeps: Any, make_request: MakeRequest
) -> None:
    """It cannot have cost anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

        with pytest.raises(EngineUnavailable, match=r"openai cannot be reached \(connection refused\)") as error:
            await openai_engine(url=url).generate(make_request())

    assert sleeps.seconds == [0.25, 0.5]
    assert not error.value.may_have_cost


async def test_a_timeout_is_not_retried(
    openai_engine: MakeEngine, openai_state: SandboxState, loop_time: LoopTime, make_request: MakeRequest
) -> None:
    """The engine may still be working; the message names the setting."""
    openai_state.knobs.latency = LONG
    generating = asyncio.create_task(openai_engine().generate(make_request()))
    await until(lambda: openai_state.in_flight == 1)

    loop_time.advance(10)

    with pytest.raises(EngineTimeout, match=r"did not answer within 10 s \(IMAGE_ENGINE_TIMEOUT\)") as error:
        await generating
    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


async def test_a_rate_limited_request_is_retried_after_the_requested_wait(
    openai_engine: MakeEngine, openai_state: SandboxState, sleeps: Any, make_request: MakeRequest
) -> None:
    """The 429 says how long to wait."""
    openai_state.knobs.faults = [Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "2"})]

    result = await openai_engine().generate(make_request())

    assert sleeps.seconds == [2.0]
    assert len(result.images) == 1


async def test_a_rate_limited_request_is_retried_twice(
    openai_engine: MakeEngine, openai_state: SandboxState, sleeps: Any, make_request: MakeRequest
) -> None:
    """Then the error has the requested wait."""
    openai_state.knobs.faults = [Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "3"}, times=-1)]

    with pytest.raises(EngineRateLimited, match="openai answered 429: slow down") as error:
        await openai_engine().generate(make_request())

    assert sleeps.seconds == [3.0, 3.0]
    assert error.value.retry_after == 3.0
    assert not error.value.may_have_cost


async def test_a_long_requested_wait_is_not_waited_for(
    openai_engine: MakeEngine, openai_state: SandboxState, sleeps: Any, make_request: MakeRequest
) -> None:
    """The error has the requested wait at once."""
    openai_state.knobs.faults = [Fault(429, "", {"Retry-After": "60"})]

    with pytest.raises(EngineRateLimited) as error:
        await openai_engine().generate(make_request())

    assert (sleeps.seconds, error.value.retry_after) == ([], 60.0)


async def test_a_503_is_retried(
    openai_engine: MakeEngine, openai_state: SandboxState, sleeps: Any, make_request: MakeRequest
) -> None:
    """The server has not done any work."""
    openai_state.knobs.faults = [Fault(503, {"error": {"message": "overloaded"}})]

    assert len((await openai_engine().generate(make_request())).images) == 1
    assert sleeps.seconds == [0.25]


async def test_an_html_error_page_is_reduced_to_its_text(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The message has the text of the proxy's page; the request is not sent again."""
    page = "<html><head><style>p{}</style></head><body><h1>Bad&nbsp;day</h1><p>nginx</p></body></html>"
    openai_state.knobs.faults = [Fault(500, page, times=-1)]

    with pytest.raises(EngineUnavailable) as error:
        await openai_engine().generate(make_request())

    assert error.value.detail == "openai answered 500: Bad day nginx"
    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


async def test_an_incomplete_response_is_not_retried(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The image may have been made."""
    openai_state.knobs.faults = [Fault(0)]

    with pytest.raises(EngineUnavailable, match="openai broke off") as error:
        await openai_engine().generate(make_request())

    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504])
async def test_a_key_in_the_error_text_is_redacted_for_every_status(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Connect, make_request: MakeRequest, status: int
) -> None:
    """The engine may repeat the key in any message."""
    openai_state.knobs.faults = [Fault(status, {"error": {"message": "I know sk-secret"}}, times=-1)]

    with pytest.raises(EngineError) as error:
        await openai_engine(connect(secrets=("sk-secret",)), key="sk-secret").generate(make_request())

    assert f"openai answered {status}: I know ***" in error.value.detail


@pytest.mark.parametrize("edit", [False, True])
async def test_a_base_url_without_v1_is_named(
    openai_engine: MakeEngine, openai_url: str, make_request: MakeRequest, *, edit: bool
) -> None:
    """The server's 404 to a generation or an edit says what to look at."""
    engine = openai_engine(url=openai_url.removesuffix("/v1"), edit=edit)

    with pytest.raises(EngineRejected) as error:
        await (engine.edit(make_request(images=())) if edit else engine.generate(make_request()))

    assert error.value.detail == (
        f"openai answered 404: Invalid URL (POST /images/{'edits' if edit else 'generations'}) "
        "(check the engine's URL in the configuration: does it end in /v1?)"
    )
