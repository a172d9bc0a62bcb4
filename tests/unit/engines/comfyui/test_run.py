"""How the comfyui engine polls its runs in the server's queue."""

import pytest

from image_gateway.errors import EngineTimeout, EngineUnavailable
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import Fault
from tests.polling import LONG
from tests.unit.engines.comfyui.bench import Bench
from tests.unit.engines.comfyui.requests_and_workflows import image_request

pytestmark = pytest.mark.anyio


async def test_the_interval_of_polling_grows_to_two_seconds(bench: Bench) -> None:
    """The first request comes soon."""
    bench.state.knobs.latency = LONG

    with pytest.raises(EngineTimeout):
        await bench.engine(timeout=30).generate(image_request())

    assert bench.sleeps.seconds[:7] == pytest.approx([0.2, 0.3, 0.45, 0.675, 1.0125, 1.51875, 2])
    assert bench.sleeps.seconds[7:12] == [2] * 5


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
