"""How the comfyui engine polls its runs in the server's queue, and cancels them."""

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.comfyui.run import run_ids
from image_gateway.engines.comfyui.server import ComfyUIServer
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineResult, ImageRequest
from image_gateway.errors import EngineTimeout, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.comfyui import create_app
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until

if TYPE_CHECKING:
    from sandbox.engines.comfyui_queue import RunQueue

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]


class Bench:
    """A sandbox server, and engines for it."""

    def __init__(self, serve: Serve, app: Starlette, state: SandboxState, connect: Connect, sleeps: Any) -> None:
        self.url = serve(app)
        self.serve = serve
        self.app = app
        self.state = state
        self.sleeps = sleeps
        self.run_queue: RunQueue = app.state.run_queue
        self.connect = connect

    def engine(self, timeout: float = 10.0, sample: Sample = CHECKPOINT) -> ComfyUIEngine:
        """An engine for which time passes only while it waits."""
        config = ImagesConfig(COMFYUI_BASE_URL=self.url, **sample.fields())
        return ComfyUIEngine(config, self.connect(timeout=timeout), clock=lambda: sum(self.sleeps.seconds))

    def start(self, request: ImageRequest, **settings: Any) -> "asyncio.Task[EngineResult]":
        # A day is long enough: waits take no time here.
        return asyncio.create_task(self.engine(**{"timeout": 86_400.0, **settings}).generate(request))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition holds on the server."""
        await until(condition)

    async def call(self, method: str, path: str, body: Any = None) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            (await client.request(method, path, json=body)).raise_for_status()

    def posted(self, path: str) -> list[Any]:
        return [request.json for request in self.state.record if (request.method, request.path) == ("POST", path)]


@pytest.fixture
async def bench(serve: Serve, connect: Connect, sleeps: Any) -> Bench:
    state = SandboxState()
    app = create_app(state)
    return Bench(serve, app, state, connect, sleeps)


def image_request(**fields: Any) -> ImageRequest:
    return ImageRequest(**{"job_id": str(uuid.uuid4()), "prompt": "a red fox", "size": Size(64, 48), **fields})


async def test_the_interval_of_polling_grows_to_two_seconds(bench: Bench) -> None:
    """The first request comes soon."""
    bench.state.knobs.latency = LONG

    with pytest.raises(EngineTimeout):
        await bench.engine(timeout=30).generate(image_request())

    assert bench.sleeps.seconds[:7] == pytest.approx([0.2, 0.3, 0.45, 0.675, 1.0125, 1.51875, 2])
    assert bench.sleeps.seconds[7:12] == [2] * 5


async def test_a_run_that_exceeds_its_time_is_interrupted(bench: Bench) -> None:
    """The time counts from the start of execution."""
    bench.state.knobs.latency = LONG
    request = image_request()

    with pytest.raises(EngineTimeout, match=r"longer than 10 s \(IMAGE_ENGINE_TIMEOUT\)") as caught:
        await bench.engine(timeout=10).generate(request)

    assert caught.value.may_have_cost
    assert sum(bench.sleeps.seconds) == pytest.approx(10)
    assert bench.posted("/interrupt") == [{"prompt_id": request.job_id}]


async def test_a_run_that_waits_too_long_is_deleted(bench: Bench) -> None:
    """The time in the queue has its own limit; a run that never started is free."""
    bench.state.knobs.latency = LONG
    other, mine = bench.start(image_request()), image_request()
    await bench.until(lambda: bench.run_queue.running)

    with pytest.raises(EngineTimeout, match="did not start the run within 10 s") as caught:
        await bench.engine(timeout=10).generate(mine)

    assert not caught.value.may_have_cost
    assert bench.run_queue.pending == []
    assert bench.posted("/interrupt") == []
    other.cancel()


async def test_a_canceled_job_leaves_its_run_and_finds_it_again(bench: Bench) -> None:
    """A job whose caller's time has ended is started again."""
    bench.state.knobs.latency = LONG
    request = image_request()
    task = bench.start(request)
    await bench.until(lambda: bench.run_queue.running)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    bench.state.knobs.latency = 0
    await bench.until(lambda: request.job_id in bench.run_queue.history)
    result = await bench.engine().generate(request)

    assert len(result.images) == 1
    assert len(bench.posted("/prompt")) == 1
    assert bench.posted("/interrupt") == []


async def test_a_canceled_job_leaves_its_waiting_run_in_the_queue(bench: Bench) -> None:
    """The restarted job need not queue again."""
    bench.state.knobs.latency = LONG
    other = bench.start(image_request())
    await bench.until(lambda: bench.run_queue.running)
    mine = bench.start(image_request())
    await bench.until(lambda: bench.run_queue.pending)

    mine.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mine

    assert len(bench.run_queue.pending) == 1
    assert bench.run_queue.running is not None
    other.cancel()


async def test_a_failed_cancellation_does_not_hide_the_timeout(bench: Bench) -> None:
    """The first error is reported."""
    bench.state.knobs.latency = LONG
    bench.state.knobs.faults = [Fault(500, "broke", times=-1, path="/queue", skip=4)]

    with pytest.raises(EngineTimeout):
        await bench.engine(timeout=0.3).generate(image_request())


async def test_all_runs_of_a_job_can_be_canceled(bench: Bench) -> None:
    """The current run is interrupted, waiting ones are deleted, and those of other jobs are not affected."""
    bench.state.knobs.latency = LONG
    sample = Sample(CHECKPOINT.workflow, [node for node in CHECKPOINT.nodes if node["type"] != "n"])
    mine = image_request(n=3)
    task = bench.start(mine, sample=sample)
    await bench.until(lambda: len(bench.run_queue.pending) == 2)
    other_request = image_request()
    other = bench.start(other_request)
    await bench.until(lambda: len(bench.run_queue.pending) == 3)

    await bench.engine().cancel(mine.job_id)

    with pytest.raises(EngineUnavailable):
        await task
    await bench.until(lambda: bench.run_queue.running and bench.run_queue.running.prompt_id == other_request.job_id)
    assert bench.run_queue.pending == []
    other.cancel()


async def test_an_interrupted_run_is_an_error(bench: Bench) -> None:
    """A user of the server interrupted it: the error says so and names the node."""
    bench.state.knobs.latency = LONG
    request = image_request()
    task = bench.start(request)
    await bench.until(lambda: bench.run_queue.running)

    await bench.call("POST", "/interrupt", {"prompt_id": request.job_id})

    with pytest.raises(EngineUnavailable, match="interrupted on the server at node"):
        await task


async def test_a_deleted_run_is_an_error(bench: Bench) -> None:
    """A run that is neither in the queue nor in the history is not waited for."""
    bench.state.knobs.latency = LONG
    other, request = bench.start(image_request()), image_request()
    await bench.until(lambda: bench.run_queue.running)
    task = bench.start(request)
    await bench.until(lambda: bench.run_queue.pending)

    await bench.call("POST", "/queue", {"delete": [request.job_id]})

    with pytest.raises(EngineUnavailable, match="no longer knows run") as caught:
        await task
    assert not caught.value.may_have_cost
    other.cancel()


async def test_a_restart_of_the_server_during_a_run_is_an_error(bench: Bench) -> None:
    """It is detected at once, without waiting for the timeout."""
    bench.state.knobs.latency = LONG
    task = bench.start(image_request())
    # The engine has to have seen it running for the error to know that it cost something.
    await bench.until(lambda: bench.run_queue.running and len(bench.sleeps.seconds) > 2)

    await bench.call("POST", "/sandbox/restart")

    with pytest.raises(EngineUnavailable, match="the server was restarted") as caught:
        await task
    assert caught.value.may_have_cost


async def test_a_run_is_not_canceled_if_the_server_becomes_unavailable(bench: Bench) -> None:
    """The restarted job may find its run."""
    bench.state.knobs.latency = LONG
    bench.state.knobs.faults = [Fault(500, "<h1>Bad Gateway</h1>", times=-1, path="/queue", skip=2)]

    with pytest.raises(EngineUnavailable, match="Bad Gateway"):
        await bench.engine(timeout=86_400).generate(image_request())

    assert bench.posted("/queue") == []
    assert bench.run_queue.running


@pytest.mark.parametrize("path", ["/prompt", "/queue"])
async def test_a_run_is_not_canceled_after_a_gateway_timeout(bench: Bench, path: str) -> None:
    """A proxy's 504 says nothing about the run, and the restarted job may find it."""
    bench.state.knobs.latency = LONG
    bench.state.knobs.faults = [Fault(504, "late", path=path, skip=int(path == "/queue"))]

    with pytest.raises(EngineTimeout) as caught:
        await bench.engine().generate(image_request())

    assert caught.value.outstanding
    assert bench.posted("/queue") == bench.posted("/interrupt") == []


async def test_a_run_that_exceeded_its_time_is_not_outstanding(bench: Bench) -> None:
    """It was interrupted, so there is nothing to find."""
    bench.state.knobs.latency = LONG

    with pytest.raises(EngineTimeout) as caught:
        await bench.engine(timeout=10).generate(image_request())

    assert (caught.value.may_have_cost, caught.value.outstanding) == (True, False)


async def test_a_run_that_expires_during_a_poll_without_response_is_canceled(bench: Bench, loop_time: LoopTime) -> None:
    """The run's timeout is reported, not that of the request."""
    silent = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/history/") and bench.run_queue.running and not silent.is_set():
            silent.set()
            await asyncio.sleep(LONG)
        await bench.app(scope, receive, send)

    bench.state.knobs.latency = LONG
    config = ImagesConfig(COMFYUI_BASE_URL=bench.serve(app), **CHECKPOINT.fields())
    engine = ComfyUIEngine(config, bench.connect(timeout=20), clock=loop_time.now)
    generating = asyncio.create_task(engine.generate(image_request()))
    await until(silent.is_set)
    loop_time.advance(20)

    with pytest.raises(EngineTimeout, match=r"did not start|ran for longer") as caught:
        await generating

    assert not caught.value.outstanding
    await bench.until(lambda: bench.run_queue.running is None)


async def test_a_poll_without_time_for_its_second_request_leaves_the_run(
    bench: Bench, loop_time: LoopTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing about the run, whose own time has not ended: a retried job finds it."""
    history_entry = ComfyUIServer.history_entry

    async def slow_history_entry(server: ComfyUIServer, prompt_id: str) -> Any:
        entry = await history_entry(server, prompt_id)
        if bench.run_queue.running:
            loop_time.advance(10)
        return entry

    monkeypatch.setattr(ComfyUIServer, "history_entry", slow_history_entry)
    bench.state.knobs.latency = LONG

    with pytest.raises(EngineTimeout) as caught:
        await bench.engine(timeout=10).generate(image_request())

    assert caught.value.outstanding
    assert bench.posted("/queue") == bench.posted("/interrupt") == []
    assert bench.run_queue.running


async def test_a_retried_job_finds_its_finished_run(bench: Bench) -> None:
    """The second attempt submits nothing and returns the seed of the run."""
    request = image_request()
    first = await bench.engine().generate(request)

    second = await bench.engine().generate(request)

    assert second.images == first.images
    assert len(bench.posted("/prompt")) == 1


async def test_a_retried_job_follows_its_running_run(bench: Bench) -> None:
    """The run is not submitted a second time."""
    bench.state.knobs.latency = LONG
    request = image_request()
    first = bench.start(request)
    await bench.until(lambda: bench.run_queue.running)
    second = bench.start(request)
    looks = len(bench.state.record)
    await bench.until(lambda: len(bench.state.record) > looks + 10)

    bench.state.knobs.latency = 0

    assert (await second).images == (await first).images
    assert len(bench.posted("/prompt")) == 1


async def test_a_run_that_ends_while_a_retried_job_looks_for_it_is_found(bench: Bench) -> None:
    """The run is in the queue or in the history, so no second one is submitted."""
    bench.state.knobs.latency = LONG
    request = image_request()
    lost = bench.start(request)
    await bench.until(lambda: bench.run_queue.running)
    lost.cancel()

    async def end_after_the_first_look(scope: Any, receive: Any, send: Any) -> None:
        response: list[Any] = []

        async def keep(message: Any) -> None:
            response.append(message)

        await bench.app(scope, receive, keep)
        bench.state.knobs.latency = 0
        await until(lambda: request.job_id in bench.run_queue.history)
        for message in response:
            await send(message)

    config = ImagesConfig(COMFYUI_BASE_URL=bench.serve(end_after_the_first_look), **CHECKPOINT.fields())
    result = await ComfyUIEngine(config, bench.connect()).generate(request)

    assert len(result.images) == 1
    assert len(bench.posted("/prompt")) == 1


async def test_a_retried_job_repeats_a_failed_run(bench: Bench) -> None:
    """A failed run keeps its id, so the next attempt uses another."""
    bench.state.knobs.latency = LONG
    request = image_request()
    with pytest.raises(EngineTimeout):
        await bench.engine(timeout=10).generate(request)
    await bench.until(lambda: request.job_id in bench.run_queue.history)
    bench.state.knobs.latency = 0

    result = await bench.engine().generate(request)

    assert len(result.images) == 1
    assert len({body["prompt_id"] for body in bench.posted("/prompt")}) == 2


async def test_a_job_has_at_most_ten_attempts_at_a_run(bench: Bench) -> None:
    """After ten failed runs of one job there is no eleventh."""
    request = image_request()
    failed = {"outputs": {}, "status": {"status_str": "error", "messages": []}}
    bench.run_queue.history.update(dict.fromkeys(run_ids(request.job_id, 0), failed))

    with pytest.raises(EngineUnavailable, match="every run of this job failed on comfyui"):
        await bench.engine().generate(request)


async def test_a_failure_without_a_reason_is_an_error(bench: Bench) -> None:
    """The history may hold no message."""
    request = image_request()
    failed = {"outputs": {}, "status": {"status_str": "error", "messages": [["execution_start", {}]]}}
    found = {request.job_id: failed}
    bench.state.knobs.faults = [Fault(200, found, path=f"/history/{request.job_id}", skip=1)]

    with pytest.raises(EngineUnavailable, match="the server does not report why"):
        await bench.engine().generate(request)


async def test_a_server_that_chooses_its_own_ids_is_followed(bench: Bench) -> None:
    """Older servers ignore the submitted id."""
    request = image_request()
    image = {"filename": "old.png", "subfolder": "", "type": "output"}
    bench.run_queue.files["output", "", "old.png"] = b"image"
    bench.run_queue.history["own-id"] = {"outputs": {"9": {"images": [image]}}, "prompt": None, "status": None}
    bench.state.knobs.faults = [Fault(200, {"prompt_id": "own-id", "number": 1}, path="/prompt")]

    result = await bench.engine().generate(request)

    assert [image.data for image in result.images] == [b"image"]


async def test_a_failed_run_is_a_warning_if_others_succeed(bench: Bench) -> None:
    """The other runs' images are returned."""
    bench.state.knobs.latency = LONG
    sample = Sample(CHECKPOINT.workflow, [node for node in CHECKPOINT.nodes if node["type"] != "n"])
    task = bench.start(image_request(n=3), sample=sample)
    await bench.until(lambda: bench.run_queue.running and len(bench.run_queue.pending) == 2)

    await bench.call("POST", "/interrupt", {})
    bench.state.knobs.latency = 0

    result = await task
    assert len(result.images) == 2
    assert "1 of 3 calls failed: comfyui failed: interrupted on the server" in result.warnings[0]
