"""The `openai` engine: several images from models that return fewer in one call."""

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
from tests.polling import DEADLINE_SECONDS, LONG, until

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]
Png = Callable[[int], bytes]


def images_response(*images: bytes) -> dict[str, Any]:
    return {"created": 1, "data": [{"b64_json": base64.b64encode(image).decode()} for image in images]}


def counts(state: SandboxState) -> list[int]:
    return [request.json["n"] for request in state.record]


async def test_a_model_that_refuses_n_is_called_once_per_image(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A model that refuses n=4 is called four times for one image each."""
    result = await openai_engine().generate(make_request(model="sandbox-single", n=4))

    assert counts(openai_state) == [4, 1, 1, 1, 1]
    assert len({image.data for image in result.images}) == 4
    assert result.warnings == []


async def test_concurrent_calls_keep_their_order(
    serve: Callable[[ASGIApp], str],
    connect: Callable[..., Connection],
    openai_engine: MakeEngine,
    make_request: MakeRequest,
    png: Png,
) -> None:
    """Four concurrent calls are answered in reverse; the images have the order of the calls."""
    meeting, turn = asyncio.Barrier(4), asyncio.Condition()
    answered: list[int] = []

    async def generations(request: Request) -> JSONResponse:
        if (await request.json())["n"] > 1:
            return JSONResponse({"error": {"message": "one at a time", "param": "n", "code": None}}, 400)
        number = int(request.headers["x-call"])
        async with asyncio.timeout(DEADLINE_SECONDS):
            await meeting.wait()
            async with turn:
                await turn.wait_for(lambda: len(answered) == 4 - number)
                answered.append(number)
                turn.notify_all()
        return JSONResponse(images_response(png(number)))

    url = serve(Starlette(routes=[Route("/images/generations", generations, methods=["POST"])]))
    connection, calls = connect(), iter(range(5))

    async def add_call_number(request: httpx.Request) -> None:
        request.headers["x-call"] = str(next(calls))

    connection.client.event_hooks = {"request": [add_call_number]}

    result = await openai_engine(connection, url=url).generate(make_request(n=4))

    assert answered == [4, 3, 2, 1]
    assert [image.data for image in result.images] == [png(number) for number in (1, 2, 3, 4)]


async def test_a_failed_call_is_a_warning_if_others_succeed(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Three images are returned, with the engine's error text for the fourth as a warning."""
    openai_state.knobs.faults = [Fault(500, {"error": {"message": "out of paint"}}, skip=2)]

    result = await openai_engine().generate(make_request(model="sandbox-single", n=4))

    assert len(result.images) == 3
    assert result.warnings == ["1 of 4 calls failed: openai answered 500: out of paint"]


async def test_the_error_has_the_engines_text_if_all_calls_fail(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """No image was returned, so the engine's error is raised."""
    openai_state.knobs.faults = [Fault(500, {"error": {"message": "out of paint"}}, times=4, skip=1)]

    with pytest.raises(EngineUnavailable, match="openai answered 500: out of paint"):
        await openai_engine().generate(make_request(model="sandbox-single", n=4))


@pytest.mark.parametrize(
    "message",
    [
        "You must provide n=1 for this model.",
        "Only one image can be generated per call",
        "The parameter `n` is above the limit",
    ],
)
async def test_a_refused_count_is_detected_from_the_error_text(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, message: str
) -> None:
    """Some providers refuse a count without naming the parameter."""
    openai_state.knobs.faults = [Fault(400, {"error": message})]

    result = await openai_engine().generate(make_request(n=2))

    assert counts(openai_state) == [2, 1, 1]
    assert len(result.images) == 2


async def test_a_server_without_n_is_called_without_it(
    serve: Callable[[ASGIApp], str], openai_engine: MakeEngine, make_request: MakeRequest, png: Png
) -> None:
    """If `n` itself is unknown, each image is requested in a call without it."""
    unknown = {"error": {"message": "Unknown parameter: 'n'.", "param": "n", "code": "unknown_parameter"}}
    returned: list[bytes] = []

    async def generations(request: Request) -> JSONResponse:
        if "n" in await request.json():
            return JSONResponse(unknown, 400)
        returned.append(png(len(returned)))
        return JSONResponse(images_response(returned[-1]))

    url = serve(Starlette(routes=[Route("/images/generations", generations, methods=["POST"])]))
    result = await openai_engine(url=url).generate(make_request(n=2))

    assert {image.data for image in result.images} == set(returned)
    assert len(returned) == 2


async def test_another_refusal_is_final(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """A refusal that does not concern the count is not followed by single calls."""
    openai_state.knobs.faults = [Fault(400, {"error": {"message": "no", "param": "size"}})]

    with pytest.raises(EngineRejected):
        await openai_engine().generate(make_request(n=2))
    assert len(openai_state.record) == 1


async def test_missing_images_are_requested_in_further_calls(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Png
) -> None:
    """If the server returns fewer images than requested, the images of the first response come first."""
    openai_state.knobs.faults = [Fault(200, images_response(png(1), png(2)))]

    result = await openai_engine().generate(make_request(n=4))

    assert counts(openai_state) == [4, 1, 1]
    assert [image.data for image in result.images[:2]] == [png(1), png(2)]
    assert len(result.images) == 4


async def test_an_unreadable_image_is_not_requested_again(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Png
) -> None:
    """It counts as returned, since it was paid for."""
    body = images_response(png(1))
    body["data"].append({"b64_json": "%%%"})
    openai_state.knobs.faults = [Fault(200, body)]

    result = await openai_engine().generate(make_request(n=2))

    assert len(openai_state.record) == 1
    assert result.warnings == ["1 of 2 calls failed: openai returned an image that is not valid base64"]


async def test_all_calls_share_one_timeout(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    connect: Callable[..., Connection],
    loop_time: LoopTime,
    make_request: MakeRequest,
    png: Png,
) -> None:
    """Further calls get the time that the first one left; a late response is a warning."""
    openai_state.knobs.faults = [Fault(200, images_response(png(1)))]
    connection = connect(timeout=1000)

    async def take_long_from_now_on(_first: httpx.Response) -> None:
        loop_time.advance(900)
        openai_state.knobs.latency = LONG

    connection.client.event_hooks = {"response": [take_long_from_now_on]}
    generating = asyncio.create_task(openai_engine(connection).generate(make_request(n=2)))
    await until(lambda: len(openai_state.record) == 2)
    loop_time.advance(101)

    result = await generating
    assert result.warnings == ["1 of 2 calls failed: openai did not answer within 1000 s (IMAGE_ENGINE_TIMEOUT)"]


async def test_token_counts_of_all_calls_are_added(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Png
) -> None:
    """The result has the sum of all calls."""
    answer = {**images_response(png(1)), "usage": {"total_tokens": 10, "input_tokens_details": {"text_tokens": 2}}}
    openai_state.knobs.faults = [Fault(200, answer, times=2)]

    result = await openai_engine().generate(make_request(n=2))

    assert result.usage == {"total_tokens": 20, "input_tokens_details": {"text_tokens": 4}}
