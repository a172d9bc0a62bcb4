"""Recorded runs of ComfyUI 0.3.64, replayed to the engine."""

import pytest

from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineUnavailable
from tests.unit.engines.comfyui.captures import CAPTURES, Recorded, capture, engine, replay, server
from tests.unit.engines.comfyui.requests_and_workflows import Connect, Serve

pytestmark = pytest.mark.anyio

REPLAYED = {
    "history_unknown_id",
    "interrupt",
    "object_info_EmptyImage",
    "prompt_errors",
    "prompt_own_id_api_prefix",
    "queue_busy",
    "queue_idle",
    "races",
    "run_batch3",
    "run_custom_node_raises",
    "run_edit",
    "run_edit_subfolder_input",
    "run_exec_error_bad_image",
    "run_exec_error_with_partial_outputs",
    "run_fully_cached",
    "run_fully_cached_after_file_deleted",
    "run_preview_temp",
    "run_subfolder",
    "run_success",
    "run_three_outputs",
    "upload_variants",
    "view_missing_file",
    "view_variants",
}


def test_every_recording_is_replayed() -> None:
    """A recording that is added needs a test."""
    assert {path.stem for path in CAPTURES.glob("*.json")} == REPLAYED


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("run_success", ["output::gen_00001_.png"]),
        ("run_subfolder", ["output:sub/dir:img_00001_.png"]),
        ("run_batch3", [f"output::batch_0000{number}_.png" for number in (1, 2, 3)]),
        ("run_three_outputs", ["output::mixed_00001_.png", "output::raw_00001_.png"]),
        ("run_preview_temp", ["temp::ComfyUI_temp_legfp_00001_.png"]),
        ("run_fully_cached", ["output::gen_00001_.png"]),
        ("run_edit", ["output::edit_00001_.png"]),
        ("run_edit_subfolder_input", ["output::edit_00003_.png"]),
    ],
)
async def test_a_recorded_run_returns_its_images(
    name: str, files: list[str], recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """They have the workflow's order; previews are returned only if there is nothing else."""
    result = await replay(name, recorded, serve, connect)

    assert [image.data.decode() for image in result.images] == files


async def test_a_partly_failed_run_returns_its_images(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """A failed node is a warning that names it."""
    result = await replay("run_exec_error_with_partial_outputs", recorded, serve, connect)

    assert [image.data for image in result.images] == [b"output::okfirst_00001_.png"]
    assert "node 20 (LoadImage): cannot identify image file" in result.warnings[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run_exec_error_bad_image", r"node 10 \(LoadImage\): cannot identify image file 'ComfyUI/input/broken.png'$"),
        ("run_custom_node_raises", r"node 5 \(HarnessFail\): CUDA out of memory \(pretend\)$"),
    ],
)
async def test_a_failed_run_names_its_node(
    name: str, text: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """The error has the node's own text, without a traceback."""
    with pytest.raises(EngineUnavailable, match=text) as caught:
        await replay(name, recorded, serve, connect)

    assert caught.value.may_have_cost


async def test_an_interrupted_run_is_an_error(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """A user of the server interrupted it."""
    history = capture("interrupt")["interrupted history"]
    ((prompt_id, entry),) = history["response"]["json"].items()
    submitted = {"status": 200, "json": {"prompt_id": prompt_id, "number": 1, "node_errors": {}}}
    recorded.run({"post": {"response": submitted}, "history_polls": ["{}"], "history": history})
    comfyui_engine = engine(serve(recorded.app()), connect(), entry["prompt"][2])

    with pytest.raises(EngineUnavailable, match=r"interrupted on the server at node 10 \(ImageScale\)"):
        await comfyui_engine.generate(ImageRequest(job_id="a-job", prompt="x"))


async def test_a_run_is_deleted_and_interrupted_by_its_id(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """The server's responses are empty, and only the given run is interrupted."""
    running, pending = "25820df1-8e9b-4088-8778-63cd635fff05", "be98f438-1da4-4486-91b4-bb0f5de6c54c"
    answers = capture("interrupt")
    recorded.add("GET /queue", capture("queue_busy")["response"])
    recorded.add("POST /queue", answers["delete pending"]["response"])
    recorded.add("POST /interrupt", answers["interrupt running id"]["response"])
    comfyui = server(serve(recorded.app()), connect())

    await comfyui.cancel_runs([running])
    await comfyui.cancel_runs([pending])

    assert recorded.bodies == [{"delete": [running]}, {"prompt_id": running}, {"delete": [pending]}]


async def test_queue_states_are_read_from_a_busy_queue(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """A run is running, waiting or not in the queue."""
    recorded.add("GET /queue", capture("queue_busy")["response"])
    comfyui = server(serve(recorded.app()), connect())

    assert await comfyui.queue_state("25820df1-8e9b-4088-8778-63cd635fff05") == "running"
    assert await comfyui.queue_state("3675a6ab-e048-4d67-b26a-395411dc9d8d") == "waiting"
    assert await comfyui.queue_state("another-run") is None


async def test_an_idle_server_is_verified_and_has_no_run(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """An idle server passes as a ComfyUI server."""
    recorded.add("GET /history/.*", capture("history_unknown_id")["response"])
    url = serve(recorded.app())

    await engine(url, connect(), "").verify()

    assert await server(url, connect()).history_entry("no-such-id") is None


async def test_a_late_history_entry_is_waited_for(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """In 16 of 40 recorded runs the history was empty just after the end, so one miss is not a lost run."""
    assert capture("races")["success_then_history_empty"] > 0
    run = capture("run_success")
    run["history_polls"] = ["{}"]
    recorded.run(run)
    recorded.add("GET /queue", capture("queue_idle")["response"])
    comfyui_engine = engine(serve(recorded.app()), connect(), run["post"]["request"]["json"]["prompt"])

    result = await comfyui_engine.generate(ImageRequest(job_id="a-job", prompt="x"))

    assert result.images[0].data == b"output::gen_00001_.png"
    # The first and the last time in the recorded run's messages.
    assert result.seconds == 0.011


async def test_a_cached_run_without_its_file_is_repeated(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """The second run has another seed."""
    gone, again = capture("run_fully_cached_after_file_deleted"), capture("run_success")
    recorded.run(again)
    gone_id = gone["post"]["response"]["json"]["prompt_id"]
    recorded.add("POST /prompt", gone["post"]["response"], again["post"]["response"])
    recorded.answers = {f"GET /history/{gone_id}": [gone["history"]["response"]], **recorded.answers}
    recorded.add("GET /view", capture("view_missing_file")["response"], {"status": 200, "json": "image"})
    workflow = gone["post"]["request"]["json"]["prompt"]
    seed = {"type": "seed", "key": "color", "node_ids": ["1"]}
    comfyui_engine = engine(serve(recorded.app()), connect(), workflow, [seed])

    result = await comfyui_engine.generate(ImageRequest(job_id="a-job", prompt="x"))

    colors = [body["prompt"]["1"]["inputs"]["color"] for body in recorded.bodies]
    assert result.images[0].data == b'"image"'
    assert len(set(colors)) == 2


async def test_a_base_url_may_end_in_api(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """The submitted id is the run's."""
    run = capture("prompt_own_id_api_prefix")
    nothing = capture("history_unknown_id")["response"]
    recorded.add("GET /api/history/my-own-id-1", nothing, run["history"]["response"])
    recorded.add("GET /api/queue", capture("queue_idle")["response"])
    recorded.add("POST /api/prompt", run["post"]["response"])
    comfyui_engine = engine(serve(recorded.app()) + "/api", connect(), run["post"]["request"]["json"]["prompt"])

    result = await comfyui_engine.generate(ImageRequest(job_id="my-own-id-1", prompt="x"))

    assert recorded.bodies[0]["prompt_id"] == "my-own-id-1"
    assert result.images[0].data == b"output::own_00001_.png"


async def test_a_node_without_choices_has_no_models(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """A numeric input has no list of models."""
    recorded.add("GET /object_info/EmptyImage", capture("object_info_EmptyImage")["response"])
    workflow = capture("run_success")["post"]["request"]["json"]["prompt"]
    comfyui_engine = engine(
        serve(recorded.app()), connect(), workflow, [{"type": "model", "key": "color", "node_ids": ["1"]}]
    )

    assert await comfyui_engine.models() == []
