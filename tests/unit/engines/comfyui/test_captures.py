"""Recorded traffic of ComfyUI 0.3.64, replayed to the engine."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.comfyui.server import ComfyUIServer, PathNotFound, node_problems
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineResult, ImageRequest, InputImage
from image_gateway.errors import EngineError, EngineRejected, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from sandbox.engines.painter import paint

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]

CAPTURES = Path(__file__).parents[3] / "data" / "captures" / "comfyui"
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


def capture(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


def response_of(recorded: dict[str, Any]) -> Response:
    """Return the recorded response."""
    if "json" in recorded:
        return JSONResponse(recorded["json"], recorded["status"])
    return Response(recorded["body"], recorded["status"], media_type=recorded["content_type"])


class Recorded:
    """A server that sends recorded responses. Each list of responses is used in order; its last one is repeated."""

    def __init__(self) -> None:
        self.answers: dict[str, list[dict[str, Any]]] = {"GET /queue": [capture("queue_idle")["response"]]}
        self.requested: list[str] = []
        self.bodies: list[Any] = []

    def add(self, route: str, *recorded: dict[str, Any]) -> None:
        self.answers[route] = list(recorded)

    def app(self) -> Starlette:
        async def respond(request: Request) -> Response:
            requested = f"{request.method} {request.url.path}"
            self.requested.append(requested)
            if request.method == "POST" and request.headers.get("content-type") == "application/json":
                self.bodies.append(await request.json())
            if request.url.path.endswith("/view") and "GET /view" not in self.answers:
                query = request.query_params
                return Response(f"{query['type']}:{query['subfolder']}:{query['filename']}")
            name = next(route for route in self.answers if re.fullmatch(route, requested))
            left = self.answers[name]
            return response_of(left.pop(0) if len(left) > 1 else left[0])

        return Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])

    def run(self, recorded: dict[str, Any]) -> None:
        """Add a recorded run: no entry before its submission, then the polled responses."""
        nothing = capture("history_unknown_id")["response"]
        prompt_id = recorded["post"]["response"]["json"]["prompt_id"]
        polls = [nothing for poll in recorded["history_polls"] if poll == "{}"]
        self.add("POST /prompt", recorded["post"]["response"])
        self.add(f"GET /history/{prompt_id}", *polls, recorded["history"]["response"])
        self.add("GET /history/.*", nothing)
        running = {"queue_running": [[0, prompt_id, {}, {}, []]], "queue_pending": []}
        idle = capture("queue_idle")["response"]
        self.add("GET /queue", idle, {"status": 200, "json": running})


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def run_of(name: str) -> dict[str, Any]:
    """Return a recorded run. If only its history was recorded, the response to its submission is added."""
    run = capture(name)
    if "post" not in run:
        ((prompt_id, entry),) = run["history"]["response"]["json"].items()
        submitted = {"prompt_id": prompt_id, "number": entry["prompt"][0], "node_errors": {}}
        run["post"] = {"request": {"json": {"prompt": entry["prompt"][2]}}, "response": {"status": 200}}
        run["post"]["response"]["json"] = submitted
        run["history_polls"] = ["{}", "entry"]
    return dict(run)


def engine(url: str, connection: Connection, workflow: Any, nodes: list[dict[str, Any]] | None = None) -> ComfyUIEngine:
    config = ImagesConfig.model_validate(
        {"COMFYUI_BASE_URL": url, "COMFYUI_WORKFLOW": workflow, "COMFYUI_WORKFLOW_NODES": nodes or []}
    )
    return ComfyUIEngine(config, connection)


def server(url: str, connection: Connection) -> ComfyUIServer:
    return ComfyUIServer(connection, "comfyui", url)


async def replay(name: str, recorded: Recorded, serve: Serve, connect: Connect) -> EngineResult:
    run = run_of(name)
    recorded.run(run)
    workflow = run["post"]["request"]["json"]["prompt"]
    comfyui_engine = engine(serve(recorded.app()), connect(), workflow)
    return await comfyui_engine.generate(ImageRequest(job_id="a-job", prompt="x"))


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


REFUSALS = {name: case for name, case in capture("prompt_errors").items() if case["response"]["status"] != 200}
ACCEPTED = {name: case for name, case in capture("prompt_errors").items() if name not in REFUSALS}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_recorded_refusal_has_the_servers_error_text_and_nodes(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """This holds for every recorded refusal of a workflow."""
    response = REFUSALS[name]["response"]
    recorded.add("POST /prompt", response)
    comfyui = server(serve(recorded.app()), connect())

    with pytest.raises(EngineError) as caught:
        await comfyui.json("POST", "/prompt", json={})

    if response["status"] == 500:
        assert isinstance(caught.value, EngineUnavailable)
        assert "Server got itself in trouble" in caught.value.detail
        return
    assert isinstance(caught.value, EngineRejected)
    assert response["json"]["error"]["message"] in caught.value.detail
    assert "COMFYUI_WORKFLOW" in caught.value.detail
    for node_id, node in response["json"]["node_errors"].items():
        assert f"node {node_id} ({node['class_type']}): {node['errors'][0]['message']}" in caught.value.detail


@pytest.mark.parametrize("name", ACCEPTED)
async def test_problems_of_an_accepted_workflow_are_read(name: str) -> None:
    """Some of its nodes may not be run."""
    problems = node_problems(ACCEPTED[name]["response"]["json"].get("node_errors"))

    partial = name.startswith("PARTIAL: one good")
    expected = "node 30 (LoadImage): Custom validation failed for node: image - Invalid image file: does-not-exist.png"
    assert problems == ([expected] if partial else [])


async def test_an_invalid_output_is_a_warning_if_others_are_valid(
    recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """The valid output's image is returned, with the problem of the other."""
    post, history = ACCEPTED["PARTIAL: one good output, one bad"], ACCEPTED["PARTIAL history"]
    recorded.run({"post": post, "history_polls": ["{}"], "history": history})
    comfyui_engine = engine(serve(recorded.app()), connect(), post["request"]["json"]["prompt"])

    result = await comfyui_engine.generate(ImageRequest(job_id="a-job", prompt="x"))

    assert [image.data for image in result.images] == [b"output::partial_00001_.png"]
    assert "node 30 (LoadImage): Custom validation failed" in result.warnings[0]


UPLOADS = capture("upload_variants")


@pytest.mark.parametrize("name", UPLOADS)
async def test_the_name_from_an_upload_response_is_used(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """The name and folder from the response go into the workflow; a refusal is an error."""
    response = UPLOADS[name]["response"]
    run = capture("run_edit")
    recorded.run(run)
    recorded.add("POST /upload/image", response)
    config = ImagesConfig.model_validate(
        {
            "IMAGES_EDIT_COMFYUI_BASE_URL": serve(recorded.app()),
            "IMAGES_EDIT_COMFYUI_WORKFLOW": json.dumps(run["post"]["request"]["json"]["prompt"]),
            "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES": [{"type": "image", "node_ids": ["10"]}],
        }
    )
    image = InputImage(paint("input", 8, 8), "image/png", 8, 8)
    requested = ImageRequest(job_id="a-job", prompt="x", images=(image,))

    if response["status"] != 200:
        with pytest.raises(EngineError, match=f"comfyui answered {response['status']}"):
            await ComfyUIEngine(config, connect(), edit=True).edit(requested)
        return
    await ComfyUIEngine(config, connect(), edit=True).edit(requested)

    kept = response["json"]
    expected = f"{kept['subfolder']}/{kept['name']}" if kept["subfolder"] else kept["name"]
    assert recorded.bodies[0]["prompt"]["10"]["inputs"]["image"] == expected


VIEWS = {"missing": capture("view_missing_file"), **capture("view_variants")}


@pytest.mark.parametrize("name", VIEWS)
async def test_a_file_that_cannot_be_downloaded_is_an_error(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """A 404 is distinguished from other refusals; a success returns the recorded content."""
    response = VIEWS[name]["response"]
    recorded.add("GET /view", response)
    comfyui = server(serve(recorded.app()), connect())

    if response["status"] == 200:
        assert (await comfyui.send("GET", "/view", params={})).content.decode() == response["body"]
        return
    with pytest.raises(EngineRejected) as caught:
        await comfyui.send("GET", "/view", params={})
    assert isinstance(caught.value, PathNotFound) == (response["status"] == 404)
