"""How the automatic1111 engine stops a server whose response is not needed any more, and how the sandbox does it."""

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
from image_gateway.engines.protocol import EngineResult, ImageRequest, Observable
from image_gateway.errors import EngineTimeout, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.automatic1111 import create_app
from sandbox.engines.state import Fault, SandboxState
from tests import web
from tests.loop_time import LoopTime
from tests.polling import DEADLINE_SECONDS, LONG, until

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

    def engine(self) -> Automatic1111Engine:
        return Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=self.url), self._connect(timeout=20))

    def generate(self, **fields: Any) -> "asyncio.Task[EngineResult]":
        engine = self.engine()
        request = ImageRequest(**{"job_id": "job-1", "prompt": "a fox", "size": Size(64, 64), **fields})
        return asyncio.create_task(engine.generate(request))

    async def generate_too_slowly(self) -> EngineResult:
        """Generate, and end the engine's time while the server is busy."""
        task = self.generate()
        await until(lambda: self.count("/txt2img"))
        self._loop_time.advance(20)
        return await task

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(verify=web.TLS, base_url=f"{self.url}/sdapi/v1/", trust_env=False) as client:
            return (await client.request(method, path, json=body)).json()

    async def is_busy(self) -> bool:
        return bool((await self.call("GET", "progress"))["state"]["job_count"])

    async def until_busy(self, *, busy: bool = True) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await self.is_busy() != busy:  # noqa: ASYNC110 - the server is in another thread
                await asyncio.sleep(0.005)

    def count(self, ending: str) -> int:
        return sum(requested.path.endswith(ending) for requested in self.state.record)


@pytest.fixture
async def bench(serve: Serve, connect: Connect, loop_time: LoopTime) -> Bench:
    state = SandboxState()
    state.knobs.latency = LONG
    return Bench(serve(create_app(state)), state, connect, loop_time)


async def test_a_timeout_stops_the_server_first(bench: Bench) -> None:
    """Otherwise the server would continue, and the next job would spend its time in the server's queue."""
    with pytest.raises(EngineTimeout) as caught:
        await bench.generate_too_slowly()

    assert caught.value.may_have_cost
    assert not await bench.is_busy()
    assert bench.count("/interrupt") == 1


async def test_cancellation_stops_the_server_first(bench: Bench) -> None:
    """The canceled job keeps its slot until the server is idle."""
    task = bench.generate()
    await bench.until_busy()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not await bench.is_busy()
    assert bench.count("/interrupt") == 1


async def test_the_engine_knows_whether_its_server_is_busy(bench: Bench) -> None:
    """It is busy while it makes images for anyone."""
    engine = bench.engine()
    assert isinstance(engine, Observable)
    assert not await engine.is_busy()
    task = bench.generate()
    await bench.until_busy()

    assert await engine.is_busy()

    task.cancel()
    await asyncio.wait([task])


async def test_a_server_that_does_not_say_whether_it_is_busy_is_not(bench: Bench) -> None:
    """Some compatible servers lack the route."""
    bench.state.knobs.faults = [Fault(404, path="/progress")]

    assert not await bench.engine().is_busy()


@pytest.mark.parametrize("status", [502, 504, 524])
async def test_a_response_lost_by_a_proxy_stops_the_server(bench: Bench, status: int) -> None:
    """The proxy's timeout is shorter than the gateway's, and the server does not notice it."""
    bench.state.knobs.faults = [Fault(status, path="/txt2img")]

    with pytest.raises((EngineTimeout, EngineUnavailable)):
        await bench.generate()

    assert bench.count("/interrupt") == 1


async def test_a_server_that_failed_is_not_interrupted(bench: Bench) -> None:
    """It has responded, and may already handle another request."""
    bench.state.knobs.faults = [Fault(500, path="/txt2img")]

    with pytest.raises(EngineUnavailable):
        await bench.generate()

    assert bench.count("/interrupt") == 0


@pytest.mark.parametrize("route", ["/interrupt", "/progress"])
async def test_missing_routes_for_stopping_do_not_hide_the_error(bench: Bench, route: str) -> None:
    """Some compatible servers lack them; the first error is reported."""
    bench.state.knobs.faults = [Fault(404, {"detail": "Not Found"}, times=-1, path=route)]

    with pytest.raises(EngineTimeout, match="did not answer within"):
        await bench.generate_too_slowly()


async def test_a_server_that_stays_busy_is_waited_for_ten_seconds(bench: Bench, sleeps: Any) -> None:
    """One sampling step may take long."""
    busy = {"state": {"job_count": -1}}
    bench.state.knobs.faults = [Fault(200, busy, times=-1, path="/progress")]

    with pytest.raises(EngineTimeout):
        await bench.generate_too_slowly()

    assert sum(sleeps.seconds) == pytest.approx(10)


async def test_an_interruption_without_response_is_waited_for_five_seconds(
    serve: Serve, connect: Connect, loop_time: LoopTime
) -> None:
    """The server may hang."""
    state = SandboxState()

    async def hang(request: Request) -> JSONResponse:
        await state.record_request(request)
        await asyncio.sleep(LONG)
        return JSONResponse({})

    url = serve(Starlette(routes=[Route("/{path:path}", hang, methods=["POST"])]))
    bench = Bench(url, state, connect, loop_time)
    generating = asyncio.create_task(bench.generate_too_slowly())
    await until(lambda: bench.count("/interrupt"))
    loop_time.advance(5)

    with pytest.raises(EngineTimeout):
        await generating


async def test_a_second_cancellation_ends_the_wait(bench: Bench) -> None:
    """The server is interrupted nevertheless."""
    bench.state.knobs.faults = [Fault(200, {"state": {"job_count": 1}}, times=-1, path="/progress", skip=1)]
    task = bench.generate()
    await bench.until_busy()
    task.cancel()
    await until(lambda: bench.count("/interrupt"))

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    bench.state.knobs.faults = []
    await bench.until_busy(busy=False)


async def test_further_images_are_requested_one_at_a_time(serve: Serve, connect: Connect, loop_time: LoopTime) -> None:
    """A call that waits inside the server could not be stopped; a call without time left is not sent."""
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


async def test_the_sandbox_handles_one_request_at_a_time(bench: Bench) -> None:
    """A second request waits inside the server; a first one is completed even if its client disconnects."""
    first = asyncio.create_task(bench.call("POST", "txt2img", BODY))
    await bench.until_busy()
    first.cancel()
    second = asyncio.create_task(bench.call("POST", "txt2img", {**BODY, "n_iter": 3}))
    await until(lambda: bench.count("/txt2img") == 2)

    assert await bench.is_busy()
    await bench.call("POST", "interrupt")
    bench.state.knobs.latency = 0

    assert len((await second)["images"]) == 4, "only the first was there to be interrupted"


async def test_the_sandbox_returns_the_images_made_before_an_interruption(bench: Bench) -> None:
    """As in A1111, a 200 with fewer images. The next request is not affected."""
    making = asyncio.create_task(bench.call("POST", "txt2img", {**BODY, "n_iter": 3}))
    await bench.until_busy()

    await bench.call("POST", "interrupt")

    assert len((await making)["images"]) == 1
    bench.state.knobs.latency = 0.05
    await bench.call("POST", "interrupt")
    assert len((await bench.call("POST", "txt2img", {**BODY, "n_iter": 3}))["images"]) == 4


async def test_the_sandbox_reports_its_progress(bench: Bench) -> None:
    """The response has A1111's format, busy and idle."""
    making = asyncio.create_task(bench.call("POST", "txt2img", {**BODY, "n_iter": 3, "steps": 20}))
    await bench.until_busy()

    busy = await bench.call("GET", "progress?skip_current_image=true")
    await bench.call("POST", "interrupt")
    await making
    idle = await bench.call("GET", "progress")

    assert set(busy) == {"progress", "eta_relative", "state", "current_image", "textinfo"}
    assert 0 < busy["progress"] < 0.5
    assert (busy["state"]["job"], busy["state"]["job_count"], busy["state"]["job_no"]) == (
        "scripts_txt2img",
        3,
        0,
    )
    assert (idle["progress"], idle["eta_relative"], idle["state"]["job_count"]) == (0, 0, 0)
    assert set(idle["state"]) == {
        *("skipped", "interrupted", "stopping_generation", "job", "job_count", "job_timestamp", "job_no"),
        *("sampling_step", "sampling_steps"),
    }
