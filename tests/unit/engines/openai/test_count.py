"""The `openai` engine: several images from models that give fewer in one call."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineRejected, EngineUnavailable
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
Ask = Callable[..., ImageRequest]
Png = Callable[[int], bytes]


def encoded(*images: bytes) -> dict[str, Any]:
    return {"created": 1, "data": [{"b64_json": base64.b64encode(image).decode()} for image in images]}


def counts(state: SandboxState) -> list[int]:
    return [requested.json["n"] for requested in state.record]


async def test_one_image_per_call_is_called_several_times(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """A model that refuses n=4 is called four times for one image each."""
    result = await openai_engine().generate(ask(model="sandbox-single", n=4))

    assert counts(openai_state) == [4, 1, 1, 1, 1]
    assert len({image.data for image in result.images}) == 4
    assert result.warnings == []


async def test_four_calls_at_once_keep_their_order(
    serve: Callable[[ASGIApp], str], connect: Callable[..., Connection], openai_engine: MakeEngine, ask: Ask, png: Png
) -> None:
    """The four calls meet at the server and answer in reverse; the images stand in the order of the calls."""
    meeting, turn = asyncio.Barrier(4), asyncio.Condition()
    answered: list[int] = []

    async def generations(request: Request) -> JSONResponse:
        if (await request.json())["n"] > 1:
            return JSONResponse({"error": {"message": "one at a time", "param": "n", "code": None}}, 400)
        number = int(request.headers["x-call"])
        async with asyncio.timeout(5):
            await meeting.wait()
            async with turn:
                await turn.wait_for(lambda: len(answered) == 4 - number)
                answered.append(number)
                turn.notify_all()
        return JSONResponse(encoded(png(number)))

    url = serve(Starlette(routes=[Route("/images/generations", generations, methods=["POST"])]))
    connection, calls = connect(), iter(range(5))

    async def number_it(request: httpx.Request) -> None:
        request.headers["x-call"] = str(next(calls))

    connection.client.event_hooks = {"request": [number_it]}

    result = await openai_engine(connection, url=url).generate(ask(n=4))

    assert answered == [4, 3, 2, 1]
    assert [image.data for image in result.images] == [png(number) for number in (1, 2, 3, 4)]


async def test_one_of_four_fails(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """Three images come, and a warning in the engine's words for the fourth."""
    openai_state.knobs.faults = [Fault(500, {"error": {"message": "out of paint"}}, skip=2)]

    result = await openai_engine().generate(ask(model="sandbox-single", n=4))

    assert len(result.images) == 3
    assert result.warnings == ["1 of 4 calls failed: openai answered 500: out of paint"]


async def test_all_fail(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """When no image is made, the error has the engine's own words."""
    openai_state.knobs.faults = [Fault(500, {"error": {"message": "out of paint"}}, times=4, skip=1)]

    with pytest.raises(EngineUnavailable, match="openai answered 500: out of paint"):
        await openai_engine().generate(ask(model="sandbox-single", n=4))


@pytest.mark.parametrize(
    "said",
    [
        "You must provide n=1 for this model.",
        "Only one image can be generated per call",
        "The parameter `n` is above the limit",
    ],
)
async def test_refused_count_is_read_from_the_words(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, said: str
) -> None:
    """Providers that refuse a count without naming the parameter are understood too."""
    openai_state.knobs.faults = [Fault(400, {"error": said})]

    result = await openai_engine().generate(ask(n=2))

    assert counts(openai_state) == [2, 1, 1]
    assert len(result.images) == 2


async def test_server_that_does_not_know_n(
    serve: Callable[[ASGIApp], str], openai_engine: MakeEngine, ask: Ask, png: Png
) -> None:
    """Where `n` itself is unknown, single calls are made without it."""
    unknown = {"error": {"message": "Unknown parameter: 'n'.", "param": "n", "code": "unknown_parameter"}}
    made: list[bytes] = []

    async def generations(request: Request) -> JSONResponse:
        if "n" in await request.json():
            return JSONResponse(unknown, 400)
        made.append(png(len(made)))
        return JSONResponse(encoded(made[-1]))

    url = serve(Starlette(routes=[Route("/images/generations", generations, methods=["POST"])]))
    result = await openai_engine(url=url).generate(ask(n=2))

    assert {image.data for image in result.images} == set(made)
    assert len(made) == 2


async def test_refusal_of_something_else_is_not_split(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """A refusal that has nothing to do with the count is final."""
    openai_state.knobs.faults = [Fault(400, {"error": {"message": "no", "param": "size"}})]

    with pytest.raises(EngineRejected):
        await openai_engine().generate(ask(n=2))
    assert len(openai_state.record) == 1


async def test_short_answer_is_topped_up(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, png: Png
) -> None:
    """A server that answers fewer images than asked for is asked for the rest; the first answer's come first."""
    openai_state.knobs.faults = [Fault(200, encoded(png(1), png(2)))]

    result = await openai_engine().generate(ask(n=4))

    assert counts(openai_state) == [4, 1, 1]
    assert [image.data for image in result.images[:2]] == [png(1), png(2)]
    assert len(result.images) == 4


async def test_unreadable_image_is_not_paid_for_again(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, png: Png
) -> None:
    """An image that was answered and cannot be read counts as answered: no call is made in its place."""
    body = encoded(png(1))
    body["data"].append({"b64_json": "%%%"})
    openai_state.knobs.faults = [Fault(200, body)]

    result = await openai_engine().generate(ask(n=2))

    assert len(openai_state.record) == 1
    assert result.warnings == ["1 of 2 calls failed: openai returned an image that is not valid base64"]


async def test_all_calls_share_one_timeout(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    connect: Callable[..., Connection],
    loop_time: LoopTime,
    ask: Ask,
    png: Png,
) -> None:
    """The calls that top up get what the first one left of the time; what is late is a warning."""
    openai_state.knobs.faults = [Fault(200, encoded(png(1)))]
    connection = connect(timeout=1000)

    async def take_long_from_now_on(_first: httpx.Response) -> None:
        loop_time.advance(900)
        openai_state.knobs.latency = LONG

    connection.client.event_hooks = {"response": [take_long_from_now_on]}
    generating = asyncio.create_task(openai_engine(connection).generate(ask(n=2)))
    await until(lambda: len(openai_state.record) == 2)
    loop_time.advance(101)

    result = await generating
    assert result.warnings == ["1 of 2 calls failed: openai did not answer within 1000 s (IMAGE_ENGINE_TIMEOUT)"]


async def test_tokens_of_all_calls_are_added(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, png: Png
) -> None:
    """The count of tokens is that of all calls together."""
    answer = {**encoded(png(1)), "usage": {"total_tokens": 10, "input_tokens_details": {"text_tokens": 2}}}
    openai_state.knobs.faults = [Fault(200, answer, times=2)]

    result = await openai_engine().generate(ask(n=2))

    assert result.usage == {"total_tokens": 20, "input_tokens_details": {"text_tokens": 4}}
