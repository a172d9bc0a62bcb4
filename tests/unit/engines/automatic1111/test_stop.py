"""How the automatic1111 engine leaves a server that it waits for no more, and how the sandbox's server works at it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.automatic1111.engine import Automatic1111Engine
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineResult, ImageRequest
from image_gateway.errors import EngineTimeout, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.automatic1111 import create_app
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
BODY = {"prompt": "a fox", "width": 64, "height": 64}


class Bench:
    """A sandbox server, and engines for it whose waits take no time."""

    def __init__(self, url: str, state: SandboxState, connect: Connect, loop_time: LoopTime) -> None:
        self.url = url
        self.state = state
        self._connect = connect
        self._loop_time = loop_time

    def generate(self, **fields: Any) -> "asyncio.Task[EngineResult]":
        engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=self.url), self._connect(timeout=20))
        request = ImageRequest(**{"job_id": "job-1", "prompt": "a fox", "size": Size(64, 64), **fields})
        return asyncio.create_task(engine.generate(request))

    async def generate_too_slowly(self) -> EngineResult:
        """Generate, and let the engine's time run out when the server is at it."""
        task = self.generate()
        await until(lambda: self.requested("/txt2img"))
        self._loop_time.advance(20)
        return await task

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(base_url=f"{self.url}/sdapi/v1/", trust_env=False) as client:
            return (await client.request(method, path, json=body)).json()

    async def at_work(self) -> bool:
        return bool((await self.ask("GET", "progress"))["state"]["job_count"])

    async def until_at_work(self) -> None:
        async with asyncio.timeout(10):
            while not await self.at_work():  # noqa: ASYNC110 - the server is in another thread
                await asyncio.sleep(0.005)

    def requested(self, ending: str) -> int:
        return sum(requested.path.endswith(ending) for requested in self.state.record)


@pytest.fixture
async def bench(serve: Serve, connect: Connect, loop_time: LoopTime) -> Bench:
    state = SandboxState()
    state.knobs.latency = LONG
    return Bench(serve(create_app(state)), state, connect, loop_time)


async def test_a_server_that_is_too_slow_is_at_rest_when_the_timeout_is_told(bench: Bench) -> None:
    """It would go on for nobody, and let the next job's time go by in its own queue."""
    with pytest.raises(EngineTimeout) as caught:
        await bench.generate_too_slowly()

    assert caught.value.may_have_cost
    assert not await bench.at_work()
    assert bench.requested("/interrupt") == 1


async def test_whoever_is_cancelled_leaves_the_server_at_rest(bench: Bench) -> None:
    """The server stops before the cancellation goes on, so that whoever holds its place holds it until then."""
    task = bench.generate()
    await bench.until_at_work()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not await bench.at_work()
    assert bench.requested("/interrupt") == 1


@pytest.mark.parametrize("status", [502, 504, 524])
async def test_a_proxy_that_loses_the_answer_leaves_the_server_at_rest(bench: Bench, status: int) -> None:
    """What stands before the server has less patience than the gateway: the server knows nothing of it."""
    bench.state.knobs.faults = [Fault(status, path="/txt2img")]

    with pytest.raises((EngineTimeout, EngineUnavailable)):
        await bench.generate()

    assert bench.requested("/interrupt") == 1


async def test_a_server_that_failed_is_not_interrupted(bench: Bench) -> None:
    """It has answered, and may be at somebody else's image."""
    bench.state.knobs.faults = [Fault(500, path="/txt2img")]

    with pytest.raises(EngineUnavailable):
        await bench.generate()

    assert bench.requested("/interrupt") == 0


@pytest.mark.parametrize("route", ["/interrupt", "/progress"])
async def test_a_server_without_these_routes_is_left_alone(bench: Bench, route: str) -> None:
    """Some compatible servers lack them; the error is the one that happened first."""
    bench.state.knobs.faults = [Fault(404, {"detail": "Not Found"}, times=-1, path=route)]

    with pytest.raises(EngineTimeout, match="did not answer within"):
        await bench.generate_too_slowly()


async def test_a_server_that_does_not_rest_is_waited_for_ten_seconds(bench: Bench, waits: Any) -> None:
    """A step may take long, but not for ever."""
    busy = {"state": {"job_count": -1}}
    bench.state.knobs.faults = [Fault(200, busy, times=-1, path="/progress")]

    with pytest.raises(EngineTimeout):
        await bench.generate_too_slowly()

    assert sum(waits.seconds) == pytest.approx(10)


async def test_a_server_that_hangs_holds_nobody_up(serve: Serve, connect: Connect, loop_time: LoopTime) -> None:
    """An interruption that is not answered is waited for five seconds."""
    state = SandboxState()

    async def hang(request: Request) -> JSONResponse:
        await state.record_request(request)
        await asyncio.sleep(LONG)
        return JSONResponse({})

    url = serve(Starlette(routes=[Route("/{path:path}", hang, methods=["POST"])]))
    bench = Bench(url, state, connect, loop_time)
    generating = asyncio.create_task(bench.generate_too_slowly())
    await until(lambda: bench.requested("/interrupt"))
    loop_time.advance(5)

    with pytest.raises(EngineTimeout):
        await generating


async def test_a_second_cancellation_is_not_kept_waiting(bench: Bench) -> None:
    """The server is interrupted all the same."""
    bench.state.knobs.faults = [Fault(200, {"state": {"job_count": 1}}, times=-1, path="/progress", skip=1)]
    task = bench.generate()
    await bench.until_at_work()
    task.cancel()
    await until(lambda: bench.requested("/interrupt"))

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    bench.state.knobs.faults = []
    assert not await bench.at_work()


async def test_the_rest_is_asked_for_one_by_one(serve: Serve, connect: Connect, loop_time: LoopTime) -> None:
    """A call that waits inside the server could not be stopped there, and one for which no time is left is not sent."""
    requested: list[str] = []

    async def answer(request: Request) -> JSONResponse:
        requested.append(request.url.path.rpartition("/")[2])
        if requested == ["txt2img", "txt2img"]:
            await asyncio.sleep(LONG)
        return JSONResponse({"images": ["iVBORw0KGgo="]})

    url = serve(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])]))
    generating = Bench(url, SandboxState(), connect, loop_time).generate(n=4)
    await until(lambda: len(requested) == 2)
    loop_time.advance(20)

    result = await generating
    assert len(result.images) == 1
    assert requested == ["txt2img", "txt2img", "interrupt", "progress"]
    assert "3 of 4 calls failed: automatic1111 did not answer within 20 s (IMAGE_ENGINE_TIMEOUT)" in result.warnings


async def test_the_sandbox_does_one_thing_at_a_time(bench: Bench) -> None:
    """A second request waits inside the server, and a first one whose client went away is done nevertheless."""
    first = asyncio.create_task(bench.ask("POST", "txt2img", BODY))
    await bench.until_at_work()
    first.cancel()
    second = asyncio.create_task(bench.ask("POST", "txt2img", {**BODY, "n_iter": 3}))
    await until(lambda: bench.requested("/txt2img") == 2)

    assert await bench.at_work()
    await bench.ask("POST", "interrupt")
    bench.state.knobs.latency = 0

    assert len((await second)["images"]) == 4, "only the first was there to be interrupted"


async def test_the_sandbox_answers_what_there_is_when_it_is_interrupted(bench: Bench) -> None:
    """As A1111: a 200 with fewer images. The next request is not interrupted by what came before it."""
    making = asyncio.create_task(bench.ask("POST", "txt2img", {**BODY, "n_iter": 3}))
    await bench.until_at_work()

    await bench.ask("POST", "interrupt")

    assert len((await making)["images"]) == 1
    bench.state.knobs.latency = 0.05
    await bench.ask("POST", "interrupt")
    assert len((await bench.ask("POST", "txt2img", {**BODY, "n_iter": 3}))["images"]) == 4


async def test_the_sandbox_tells_its_progress(bench: Bench) -> None:
    """In A1111's shape, at work and at rest."""
    making = asyncio.create_task(bench.ask("POST", "txt2img", {**BODY, "n_iter": 3, "steps": 20}))
    await bench.until_at_work()

    at_work = await bench.ask("GET", "progress?skip_current_image=true")
    await bench.ask("POST", "interrupt")
    await making
    at_rest = await bench.ask("GET", "progress")

    assert set(at_work) == {"progress", "eta_relative", "state", "current_image", "textinfo"}
    assert 0 < at_work["progress"] < 0.5
    assert (at_work["state"]["job"], at_work["state"]["job_count"], at_work["state"]["job_no"]) == (
        "scripts_txt2img",
        3,
        0,
    )
    assert (at_rest["progress"], at_rest["eta_relative"], at_rest["state"]["job_count"]) == (0, 0, 0)
    assert set(at_rest["state"]) == {
        *("skipped", "interrupted", "stopping_generation", "job", "job_count", "job_timestamp", "job_no"),
        *("sampling_step", "sampling_steps"),
    }
