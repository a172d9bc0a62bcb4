"""When the comfyui engine cancels its runs, and when it leaves them in the server's queue."""

import asyncio
from typing import Any

import pytest

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.comfyui.server import ComfyUIServer
from image_gateway.errors import EngineTimeout, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import Fault
from tests.loop_time import LoopTime
from tests.polling import LONG, until
from tests.unit.engines.comfyui.bench import Bench
from tests.unit.engines.comfyui.requests_and_workflows import image_request

pytestmark = pytest.mark.anyio


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
