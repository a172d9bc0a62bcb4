"""Recorded traffic of ComfyUI 0.3.64, fed to the engine."""

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


def answer(recorded: dict[str, Any]) -> Response:
    """The recorded answer."""
    if "json" in recorded:
        return JSONResponse(recorded["json"], recorded["status"])
    return Response(recorded["body"], recorded["status"], media_type=recorded["content_type"])


class Recorded:
    """A server that gives recorded answers. An answer list is used up from the front; its last one is repeated."""

    def __init__(self) -> None:
        self.answers: dict[str, list[dict[str, Any]]] = {"GET /queue": [capture("queue_idle")["response"]]}
        self.requested: list[str] = []
        self.bodies: list[Any] = []

    def give(self, route: str, *recorded: dict[str, Any]) -> None:
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
            return answer(left.pop(0) if len(left) > 1 else left[0])

        return Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])

    def run(self, recorded: dict[str, Any]) -> None:
        """Give a recorded run: nothing before it is submitted, then what was polled."""
        nothing = capture("history_unknown_id")["response"]
        prompt_id = recorded["post"]["response"]["json"]["prompt_id"]
        polls = [nothing for poll in recorded["history_polls"] if poll == "{}"]
        self.give("POST /prompt", recorded["post"]["response"])
        self.give(f"GET /history/{prompt_id}", *polls, recorded["history"]["response"])
        self.give("GET /history/.*", nothing)
        running = {"queue_running": [[0, prompt_id, {}, {}, []]], "queue_pending": []}
        idle = capture("queue_idle")["response"]
        self.give("GET /queue", idle, {"status": 200, "json": running})


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def run_of(name: str) -> dict[str, Any]:
    """A recorded run; where only its history was kept, with the answer to its submission put in."""
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
    made = engine(serve(recorded.app()), connect(), workflow)
    return await made.generate(ImageRequest(job_id="a-job", prompt="x"))


def test_every_file_is_replayed() -> None:
    """No recorded file is left out of this module."""
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
async def test_a_run_gives_its_images(
    name: str, files: list[str], recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """The images of a run come in the workflow's order, previews only where there is nothing else."""
    result = await replay(name, recorded, serve, connect)

    assert [image.data.decode() for image in result.images] == files


async def test_a_run_that_failed_half_way_gives_what_came(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """A failed node among good ones is a warning that names it."""
    result = await replay("run_exec_error_with_partial_outputs", recorded, serve, connect)

    assert [image.data for image in result.images] == [b"output::okfirst_00001_.png"]
    assert "node 20 (LoadImage): cannot identify image file" in result.warnings[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run_exec_error_bad_image", r"node 10 \(LoadImage\): cannot identify image file 'ComfyUI/input/broken.png'$"),
        ("run_custom_node_raises", r"node 5 \(HarnessFail\): CUDA out of memory \(pretend\)$"),
    ],
)
async def test_a_failed_run_names_its_node(
    name: str, said: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """An execution error is the engine's, in the node's own words and without a traceback."""
    with pytest.raises(EngineUnavailable, match=said) as caught:
        await replay(name, recorded, serve, connect)

    assert caught.value.may_have_cost


async def test_an_interrupted_run_is_an_error(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """Somebody stopped it on the server."""
    history = capture("interrupt")["interrupted history"]
    ((prompt_id, entry),) = history["response"]["json"].items()
    submitted = {"status": 200, "json": {"prompt_id": prompt_id, "number": 1, "node_errors": {}}}
    recorded.run({"post": {"response": submitted}, "history_polls": ["{}"], "history": history})
    made = engine(serve(recorded.app()), connect(), entry["prompt"][2])

    with pytest.raises(EngineUnavailable, match=r"interrupted on the server at node 10 \(ImageScale\)"):
        await made.generate(ImageRequest(job_id="a-job", prompt="x"))


async def test_a_run_is_deleted_and_interrupted_by_its_id(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """The server's empty answers are fine, and only a run of ours is interrupted."""
    running, pending = "25820df1-8e9b-4088-8778-63cd635fff05", "be98f438-1da4-4486-91b4-bb0f5de6c54c"
    answers = capture("interrupt")
    recorded.give("GET /queue", capture("queue_busy")["response"])
    recorded.give("POST /queue", answers["delete pending"]["response"])
    recorded.give("POST /interrupt", answers["interrupt running id"]["response"])
    comfyui = server(serve(recorded.app()), connect())

    await comfyui.cancel_runs([running])
    await comfyui.cancel_runs([pending])

    assert recorded.bodies == [{"delete": [running]}, {"prompt_id": running}, {"delete": [pending]}]


async def test_a_busy_queue_tells_running_from_waiting(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """Every run has its place, and the keys in the queue stay there."""
    recorded.give("GET /queue", capture("queue_busy")["response"])
    comfyui = server(serve(recorded.app()), connect())

    assert await comfyui.queue_state("25820df1-8e9b-4088-8778-63cd635fff05") == "running"
    assert await comfyui.queue_state("3675a6ab-e048-4d67-b26a-395411dc9d8d") == "waiting"
    assert await comfyui.queue_state("somebody-else") is None


async def test_an_idle_queue_and_an_unknown_run_are_empty(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """An idle server passes as a ComfyUI, and knows no run."""
    recorded.give("GET /history/.*", capture("history_unknown_id")["response"])
    url = serve(recorded.app())

    await engine(url, connect(), "").verify()

    assert await server(url, connect()).history_entry("no-such-id") is None


async def test_a_history_that_is_late_is_waited_for(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """The history may be empty just after the end (16 of 40 recorded runs): one miss is not a lost run."""
    assert capture("races")["success_then_history_empty"] > 0
    run = capture("run_success")
    run["history_polls"] = ["{}"]
    recorded.run(run)
    recorded.give("GET /queue", capture("queue_idle")["response"])
    made = engine(serve(recorded.app()), connect(), run["post"]["request"]["json"]["prompt"])

    result = await made.generate(ImageRequest(job_id="a-job", prompt="x"))

    assert result.images[0].data == b"output::gen_00001_.png"


async def test_a_cached_run_whose_file_is_gone_is_run_again(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """The second run has another seed."""
    gone, again = capture("run_fully_cached_after_file_deleted"), capture("run_success")
    recorded.run(again)
    gone_id = gone["post"]["response"]["json"]["prompt_id"]
    recorded.give("POST /prompt", gone["post"]["response"], again["post"]["response"])
    recorded.answers = {f"GET /history/{gone_id}": [gone["history"]["response"]], **recorded.answers}
    recorded.give("GET /view", capture("view_missing_file")["response"], {"status": 200, "json": "image"})
    workflow = gone["post"]["request"]["json"]["prompt"]
    seed = {"type": "seed", "key": "color", "node_ids": ["1"]}
    made = engine(serve(recorded.app()), connect(), workflow, [seed])

    result = await made.generate(ImageRequest(job_id="a-job", prompt="x"))

    colours = [body["prompt"]["1"]["inputs"]["color"] for body in recorded.bodies]
    assert result.images[0].data == b'"image"'
    assert len(set(colours)) == 2


async def test_the_routes_below_api_work_too(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """A base URL may end in /api, and the id that is sent is the run's."""
    run = capture("prompt_own_id_api_prefix")
    nothing = capture("history_unknown_id")["response"]
    recorded.give("GET /api/history/my-own-id-1", nothing, run["history"]["response"])
    recorded.give("GET /api/queue", capture("queue_idle")["response"])
    recorded.give("POST /api/prompt", run["post"]["response"])
    made = engine(serve(recorded.app()) + "/api", connect(), run["post"]["request"]["json"]["prompt"])

    result = await made.generate(ImageRequest(job_id="my-own-id-1", prompt="x"))

    assert recorded.bodies[0]["prompt_id"] == "my-own-id-1"
    assert result.images[0].data == b"output::own_00001_.png"


async def test_a_node_without_choices_offers_no_models(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """An input that is a number has no list of models."""
    recorded.give("GET /object_info/EmptyImage", capture("object_info_EmptyImage")["response"])
    workflow = capture("run_success")["post"]["request"]["json"]["prompt"]
    made = engine(serve(recorded.app()), connect(), workflow, [{"type": "model", "key": "color", "node_ids": ["1"]}])

    assert await made.models() == []


REFUSALS = {name: case for name, case in capture("prompt_errors").items() if case["response"]["status"] != 200}
ACCEPTED = {name: case for name, case in capture("prompt_errors").items() if name not in REFUSALS}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_says_what_is_wrong_where(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """Every recorded refusal of a workflow is an error with the server's words and its nodes."""
    response = REFUSALS[name]["response"]
    recorded.give("POST /prompt", response)
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
async def test_what_is_left_out_in_silence_is_told(name: str) -> None:
    """An accepted workflow may still have nodes that will not run."""
    problems = node_problems(ACCEPTED[name]["response"]["json"].get("node_errors"))

    partial = name.startswith("PARTIAL: one good")
    expected = "node 30 (LoadImage): Custom validation failed for node: image - Invalid image file: does-not-exist.png"
    assert problems == ([expected] if partial else [])


async def test_a_bad_output_among_good_ones_is_a_warning(recorded: Recorded, serve: Serve, connect: Connect) -> None:
    """The image of the good output comes, with what is wrong with the other."""
    post, history = ACCEPTED["PARTIAL: one good output, one bad"], ACCEPTED["PARTIAL history"]
    recorded.run({"post": post, "history_polls": ["{}"], "history": history})
    made = engine(serve(recorded.app()), connect(), post["request"]["json"]["prompt"])

    result = await made.generate(ImageRequest(job_id="a-job", prompt="x"))

    assert [image.data for image in result.images] == [b"output::partial_00001_.png"]
    assert "node 30 (LoadImage): Custom validation failed" in result.warnings[0]


UPLOADS = capture("upload_variants")


@pytest.mark.parametrize("name", UPLOADS)
async def test_an_upload_is_used_by_the_name_it_was_given(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """The name and folder that the server answers go into the workflow; a refusal is an error."""
    response = UPLOADS[name]["response"]
    run = capture("run_edit")
    recorded.run(run)
    recorded.give("POST /upload/image", response)
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
async def test_a_file_that_cannot_be_had_is_an_error(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """A 404 is told from other refusals; an image is what was recorded."""
    response = VIEWS[name]["response"]
    recorded.give("GET /view", response)
    comfyui = server(serve(recorded.app()), connect())

    if response["status"] == 200:
        assert (await comfyui.send("GET", "/view", params={})).content.decode() == response["body"]
        return
    with pytest.raises(EngineRejected) as caught:
        await comfyui.send("GET", "/view", params={})
    assert isinstance(caught.value, PathNotFound) == (response["status"] == 404)
