"""How a retried job finds the run of its earlier attempt on the server."""

from typing import Any

import pytest

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.comfyui.run import run_ids
from image_gateway.errors import EngineTimeout, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from sandbox.engines.comfyui_workflows import CHECKPOINT
from tests.polling import LONG, until
from tests.unit.engines.comfyui.bench import Bench
from tests.unit.engines.comfyui.requests_and_workflows import image_request

pytestmark = pytest.mark.anyio


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
