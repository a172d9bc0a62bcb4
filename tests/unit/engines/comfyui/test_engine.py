"""The comfyui engine against the sandbox's ComfyUI, over HTTP: what it generates, and what it says when it cannot."""

import copy
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines import create_engine
from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import (
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    NotConfigured,
)
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.comfyui import create_app
from sandbox.engines.comfyui_nodes import CHECKPOINTS, DIFFUSION_MODELS
from sandbox.engines.comfyui_queue import RunQueue
from sandbox.engines.comfyui_workflows import CHECKPOINT, FLUX, Sample
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
MakeEngine = Callable[..., ComfyUIEngine]

SIZE = Size(64, 48)


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def app(state: SandboxState) -> Starlette:
    return create_app(state)


@pytest.fixture
def run_queue(app: Starlette) -> RunQueue:
    """The server's queue and files."""
    run_queue: RunQueue = app.state.run_queue
    return run_queue


@pytest.fixture
async def make(serve: Serve, connect: Connect, app: Starlette) -> MakeEngine:
    """Make the engine for the sandbox's server, a sample workflow and further configuration fields."""
    url = serve(app)

    def make(sample: Sample = CHECKPOINT, timeout: float = 10.0, **fields: Any) -> ComfyUIEngine:
        config = ImagesConfig(**{"COMFYUI_BASE_URL": url, **sample.fields(), **fields})
        return ComfyUIEngine(config, connect(timeout=timeout, secrets=tuple(config.secrets())))

    return make


def requested(**fields: Any) -> ImageRequest:
    """A small image's request in which the caller set every field given."""
    known = {"job_id": str(uuid.uuid4()), "prompt": "a red fox", "size": SIZE}
    return ImageRequest(**{**known, **fields}, requested=frozenset(fields))


def images_only(**more: Any) -> Sample:
    """A workflow without sampling: node 4 saves an inverted image; `more` are further nodes."""
    workflow = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 255}},
        "3": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "good"}},
        **more,
    }
    return Sample(workflow, [])


def save(source: str, prefix: str = "more") -> dict[str, Any]:
    return {"class_type": "SaveImage", "inputs": {"images": [source, 0], "filename_prefix": prefix}}


def sent(state: SandboxState) -> list[Any]:
    """The bodies of the workflows submitted."""
    return [request.json for request in state.record if (request.method, request.path) == ("POST", "/prompt")]


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize("sample", [CHECKPOINT, FLUX])
async def test_a_sample_workflow_makes_an_image_of_the_size_asked_for(sample: Sample, make: MakeEngine) -> None:
    """A checkpoint's workflow and Flux's both paint, and tell their seed."""
    result = await make(sample).generate(requested(size=Size(640, 384), seed=7))

    assert [size_of(image.data) for image in result.images] == [(640, 384)]
    assert [image.seed for image in result.images] == [7]
    assert result.warnings == []


async def test_the_job_is_the_run(make: MakeEngine, state: SandboxState) -> None:
    """The run has the job's id, and no `extra_data`, which may not be null."""
    request = requested()

    await make().generate(request)

    (body,) = sent(state)
    assert (body["prompt_id"], body["client_id"]) == (request.job_id, request.job_id)
    assert "extra_data" not in body


async def test_a_key_is_sent_as_bearer_and_to_partner_nodes(make: MakeEngine, state: SandboxState) -> None:
    """The key goes into the header of every request and into `extra_data` of the run."""
    state.knobs.key = "comfy-key"

    await make(COMFYUI_API_KEY="comfy-key").generate(requested())

    assert {request.headers["authorization"] for request in state.record} == {"Bearer comfy-key"}
    assert sent(state)[0]["extra_data"] == {"api_key_comfy_org": "comfy-key"}


async def test_a_batch_is_one_run(make: MakeEngine, state: SandboxState) -> None:
    """Three images of a workflow with a count come from one run of that batch."""
    result = await make().generate(requested(n=3))

    assert len({image.data for image in result.images}) == 3
    assert [body["prompt"]["5"]["inputs"]["batch_size"] for body in sent(state)] == [3]


async def test_without_a_count_node_there_is_a_run_for_each_image(make: MakeEngine, state: SandboxState) -> None:
    """Each of the runs has a seed and an id of its own; the first has the job's."""
    sample = Sample(CHECKPOINT.workflow, [node for node in CHECKPOINT.nodes if node["type"] != "n"])
    request = requested(n=3, seed=5)

    result = await make(sample).generate(request)

    assert [image.seed for image in result.images] == [5, 6, 7]
    ids = [body["prompt_id"] for body in sent(state)]
    assert request.job_id in ids
    assert len(set(ids)) == 3


async def test_a_batch_that_gives_too_few_is_made_up_for(make: MakeEngine, state: SandboxState) -> None:
    """Where the count has no effect, the images that are missing are run for one by one."""
    workflow = copy.deepcopy(CHECKPOINT.workflow)
    workflow["99"] = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
    nodes = [{**node, "node_ids": ["99"]} if node["type"] == "n" else node for node in CHECKPOINT.nodes]

    result = await make(Sample(workflow, nodes)).generate(requested(n=3))

    assert len({image.data for image in result.images}) == 3
    assert [body["prompt"]["99"]["inputs"]["batch_size"] for body in sent(state)] == [3, 1, 1]


async def test_images_that_may_be_the_same_are_told(make: MakeEngine) -> None:
    """Without a seed or a count node the server gives the cached image again."""
    result = await make(images_only()).generate(requested(n=2))

    assert len({image.data for image in result.images}) == 1
    assert "images may be the same" in result.warnings[0]


async def test_several_output_nodes_give_all_their_images(make: MakeEngine) -> None:
    """Images come in the workflow's order, without the previews, and more than asked for is told."""
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    sample = images_only(**{"5": preview, "6": save("1")})
    seed = {"type": "seed", "key": "color", "node_ids": ["1"]}

    result = await make(Sample(sample.workflow, [seed])).generate(requested(seed=0xFF0000))

    colours = [Image.open(io.BytesIO(image.data)).getpixel((0, 0)) for image in result.images]
    assert colours == [(0, 255, 255), (255, 0, 0)]
    assert "the workflow saved 2 images for n=1" in result.warnings


async def test_previews_are_taken_where_there_is_nothing_else(make: MakeEngine) -> None:
    """A workflow that only previews has its previews as images."""
    sample = images_only()
    del sample.workflow["4"]
    sample.workflow["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}

    result = await make(sample).generate(requested())

    assert [size_of(image.data) for image in result.images] == [(64, 48)]


async def test_a_subfolder_is_a_parameter_of_its_own(make: MakeEngine, state: SandboxState) -> None:
    """An image saved below a folder is found there."""
    sample = images_only(**{"4": save("3", "sub/dir/img")})

    result = await make(sample).generate(requested())

    viewed = [request.query for request in state.record if request.path == "/view"]
    assert viewed == [{"filename": "img_00001_.png", "subfolder": "sub/dir", "type": "output"}]
    assert result.images


async def test_a_node_that_fails_among_good_ones_is_a_warning(make: MakeEngine) -> None:
    """What was saved before comes, with the node and its words."""
    fail = {"class_type": "SandboxFail", "inputs": {"image": ["3", 0], "message": "CUDA out of memory"}}

    result = await make(images_only(**{"5": fail, "6": save("5")})).generate(requested())

    assert len(result.images) == 1
    assert "not every output was made: node 5 (SandboxFail): CUDA out of memory" in result.warnings


async def test_a_preview_beside_a_failed_output_is_not_the_image(make: MakeEngine) -> None:
    """A step in between is no answer when the image itself failed."""
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    fail = {"class_type": "SandboxFail", "inputs": {"image": ["3", 0], "message": "broke"}}
    sample = images_only()
    sample.workflow["4"] = preview

    with pytest.raises(EngineUnavailable, match=r"node 5 \(SandboxFail\): broke"):
        await make(Sample({**sample.workflow, "5": fail, "6": save("5")}, sample.nodes)).generate(requested())


async def test_a_node_that_fails_alone_is_an_error(make: MakeEngine) -> None:
    """The error names the node and says its message; the run may have cost something."""
    fail = {"class_type": "SandboxFail", "inputs": {"image": ["3", 0], "message": "CUDA out of memory"}}

    with pytest.raises(EngineUnavailable, match=r"node 5 \(SandboxFail\): CUDA out of memory") as caught:
        await make(images_only(**{"5": fail, "4": save("5")})).generate(requested())

    assert caught.value.may_have_cost


async def test_an_output_that_is_left_out_is_a_warning(make: MakeEngine) -> None:
    """A bad output among good ones, which the server skips in silence, is told."""
    load = {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}

    result = await make(images_only(**{"5": load, "6": save("5")})).generate(requested())

    assert len(result.images) == 1
    assert "node 5 (LoadImage): Custom validation failed" in result.warnings[0]


async def test_an_output_that_is_left_out_with_no_other_image_is_an_error(make: MakeEngine) -> None:
    """Where the good output is only a preview, the workflow is at fault."""
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    load = {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}

    with pytest.raises(EngineRejected, match=r"left out the outputs of COMFYUI_WORKFLOW: node 5 \(LoadImage\)"):
        await make(images_only(**{"4": preview, "5": load, "6": save("5")})).generate(requested())


async def test_an_unknown_node_type_is_named(make: MakeEngine) -> None:
    """A custom node that the server does not have is the configuration's fault."""
    unknown = {"class_type": "NoSuchNode", "inputs": {"image": ["3", 0]}}

    with pytest.raises(EngineRejected, match=r"node NoSuchNode does not exist.*check COMFYUI_WORKFLOW"):
        await make(images_only(**{"5": unknown, "6": save("5")})).generate(requested())


async def test_an_unknown_model_is_named(make: MakeEngine) -> None:
    """The server's list of what it has is part of the refusal."""
    with pytest.raises(EngineRejected, match=r"node 4 .*ckpt_name: 'nope' not in \['dreamshaper_8"):
        await make().generate(requested(model="nope"))


async def test_the_editors_format_never_leaves(make: MakeEngine, state: SandboxState) -> None:
    """The server would answer it with a bare 500."""
    config = ImagesConfig.model_construct(COMFYUI_BASE_URL="http://x", COMFYUI_WORKFLOW='{"nodes": []}')
    engine = make()
    engine._config = config

    with pytest.raises(NotConfigured, match="editor's format"):
        await engine.generate(requested())
    assert state.record == []


async def test_what_the_workflow_cannot_do_is_told(make: MakeEngine) -> None:
    """Fields that no node takes, and fields that ComfyUI does not have, are a warning each."""
    result = await make(FLUX).generate(requested(negative_prompt="rain", quality="high"))

    assert result.warnings == [
        "negative_prompt was ignored: COMFYUI_WORKFLOW_NODES names no node of type negative_prompt",
        "quality is not supported by comfyui and was ignored",
    ]


async def test_no_seed_twice(make: MakeEngine) -> None:
    """Two jobs with the same prompt and no seed give two images."""
    engine = make()

    first, second = await engine.generate(requested()), await engine.generate(requested())

    assert first.images[0].data != second.images[0].data


async def test_a_cached_run_gives_its_image(make: MakeEngine, run_queue: RunQueue) -> None:
    """The same seed again writes no file and still gives the image."""
    engine = make()
    first = await engine.generate(requested(seed=5))

    second = await engine.generate(requested(seed=5))

    assert second.images == first.images
    assert len(run_queue.files) == 1


async def test_a_cached_run_whose_file_is_gone_is_run_once_more(make: MakeEngine, run_queue: RunQueue) -> None:
    """Another seed makes the server paint again, and a warning says that it is another."""
    engine = make()
    await engine.generate(requested(seed=5))
    run_queue.files.clear()

    result = await engine.generate(requested(seed=5))

    assert len(result.images) == 1
    assert result.images[0].seed != 5
    assert result.warnings == ["another seed was used: the server no longer has the image of the requested one"]


async def test_a_gone_file_without_a_seed_node_is_an_error(make: MakeEngine, run_queue: RunQueue) -> None:
    """Without a seed node the server would answer from its cache for ever."""
    engine = make(images_only())
    await engine.generate(requested())
    run_queue.files.clear()

    with pytest.raises(EngineUnavailable, match="COMFYUI_WORKFLOW_NODES names no node of type seed"):
        await engine.generate(requested())


async def test_a_file_that_is_gone_twice_is_an_error(make: MakeEngine, state: SandboxState) -> None:
    """There is one more run, not an endless number of them."""
    state.knobs.faults = [Fault(status=404, times=-1, path="/view")]

    with pytest.raises(EngineUnavailable, match="saved an image and no longer has it"):
        await make().generate(requested())

    assert len(sent(state)) == 2


async def test_an_empty_file_is_no_image(make: MakeEngine, state: SandboxState) -> None:
    """An answer without bytes is an error, not an image."""
    state.knobs.faults = [Fault(status=200, path="/view")]

    with pytest.raises(EngineUnavailable, match="empty file"):
        await make().generate(requested())


async def test_a_run_without_images_names_the_workflow(make: MakeEngine, state: SandboxState) -> None:
    """A workflow that saves text or sound only gives nothing to answer."""
    request = requested()
    status = {"status_str": "success", "completed": True, "messages": []}
    entry = {"outputs": {"4": {"text": ["a"]}}, "status": status}
    state.knobs.faults = [Fault(status=200, body={request.job_id: entry}, path=f"/history/{request.job_id}", skip=1)]

    with pytest.raises(EngineRejected, match="returned no image: COMFYUI_WORKFLOW has to save one"):
        await make().generate(request)


@pytest.mark.parametrize(
    ("sample", "models"), [(CHECKPOINT, CHECKPOINTS), (FLUX, DIFFUSION_MODELS), (images_only(), CHECKPOINTS)]
)
async def test_models_are_those_of_the_node_that_takes_them(
    sample: Sample, models: list[str], make: MakeEngine
) -> None:
    """The list is that of the model's node; of a checkpoint loader where the map names none."""
    assert [model.id for model in await make(sample).models()] == models


async def test_models_need_no_workflow(make: MakeEngine) -> None:
    """Before there is a workflow, the checkpoints are listed."""
    found = await make(COMFYUI_WORKFLOW="", COMFYUI_WORKFLOW_NODES=[]).models()

    assert [model.name for model in found] == CHECKPOINTS


async def test_models_of_an_unknown_node_type_name_it(make: MakeEngine) -> None:
    """The server answers an empty object for a node type that it does not have."""
    sample = images_only(**{"5": {"class_type": "GGUF/Loader", "inputs": {"name": ""}}})
    nodes = [{"type": "model", "key": "name", "node_ids": ["5"]}]

    with pytest.raises(EngineRejected, match="does not know the node type GGUF/Loader"):
        await make(Sample(sample.workflow, nodes)).models()


@pytest.mark.parametrize(
    ("declared", "models"),
    [
        ({"required": {"ckpt_name": ["COMBO", {"options": ["a", "b"]}]}}, ["a", "b"]),
        ({"optional": {"ckpt_name": [["a", 1, "b"], {}]}}, ["a", "b"]),
        ({"required": {"ckpt_name": ["STRING", {}]}}, []),
        ({"required": {"ckpt_name": []}}, []),
    ],
)
async def test_choices_are_read_in_every_form(
    declared: Any, models: list[str], make: MakeEngine, state: SandboxState
) -> None:
    """Newer servers say `COMBO` with options; what has no choices offers nothing."""
    state.knobs.faults = [Fault(status=200, body={"CheckpointLoaderSimple": {"input": declared}})]

    assert [model.id for model in await make().models()] == models


async def test_the_right_key_is_verified(make: MakeEngine, state: SandboxState) -> None:
    """A server that takes the key passes."""
    state.knobs.key = "comfy-key"

    await make(COMFYUI_API_KEY="comfy-key").verify()


@pytest.mark.parametrize("question", ["verify", "models"])
async def test_a_wrong_key_is_told(question: str, make: MakeEngine, state: SandboxState) -> None:
    """A 401 says to check the key, and does not say it."""
    state.knobs.key = "comfy-key"

    with pytest.raises(EngineRejected, match="check the engine's key") as caught:
        await getattr(make(COMFYUI_API_KEY="wrong-key"), question)()

    assert "wrong-key" not in caught.value.detail


@pytest.mark.parametrize("question", ["verify", "models"])
@pytest.mark.parametrize("answer", [JSONResponse({"data": []}), JSONResponse([]), HTMLResponse("<h1>Hi</h1>")])
async def test_another_kind_of_server_is_told_apart(question: str, answer: Any, serve: Serve, make: MakeEngine) -> None:
    """A server that answers everything with 200 is still no ComfyUI."""

    async def respond(_request: object) -> Any:
        return answer

    url = serve(Starlette(routes=[Route("/{path:path}", respond)]))

    with pytest.raises(EngineUnavailable):
        await getattr(make(COMFYUI_BASE_URL=url), question)()


@pytest.mark.parametrize("question", ["verify", "models"])
async def test_a_wrong_url_is_told(question: str, serve: Serve, make: MakeEngine) -> None:
    """A 404 says to check the URL."""
    with pytest.raises(EngineRejected, match=r"404.*check the engine's URL"):
        await getattr(make(COMFYUI_BASE_URL=serve(Starlette())), question)()


async def test_an_unset_url_names_its_field(connect: Connect) -> None:
    """Nothing can be asked without a URL, for generations and edits alike."""
    for edit, field in ((False, "COMFYUI_BASE_URL"), (True, "IMAGES_EDIT_COMFYUI_BASE_URL")):
        with pytest.raises(NotConfigured) as caught:
            create_engine("comfyui", ImagesConfig(), connect(), edit=edit)
        assert caught.value.field == field


FAULTS: dict[str, tuple[Fault, type[GatewayError], str]] = {
    "refused": (Fault(403, {"error": "no"}, path="/prompt"), EngineRejected, "403"),
    "slow down": (Fault(429, {"error": "busy"}, {"retry-after": "60"}, -1), EngineRateLimited, "busy"),
    "HTML": (Fault(500, "<html><h1>Bad day</h1></html>", times=-1), EngineUnavailable, "500: Bad day"),
    "no JSON": (Fault(200, "{not json", path="/prompt"), EngineUnavailable, "not JSON"),
    "no id": (Fault(200, {"number": 1}, path="/prompt"), EngineUnavailable, "without a prompt_id"),
    "no queue": (Fault(200, [], times=-1), EngineUnavailable, "its /queue holds no queue"),
    "no history": (Fault(200, [], skip=1), EngineUnavailable, "/history"),
    "breaks off": (Fault(0, path="/prompt"), EngineUnavailable, "comfyui"),
    "gateway timeout": (Fault(504, "too slow", path="/prompt"), EngineTimeout, "too slow"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_the_right_error(name: str, make: MakeEngine, state: SandboxState) -> None:
    """Whatever the server answers, the caller gets an error of the tree with its words."""
    fault, kind, said = FAULTS[name]
    state.knobs.faults = [copy.deepcopy(fault)]

    with pytest.raises(kind, match=said):
        await make().generate(requested())


async def test_a_submission_is_not_sent_twice(make: MakeEngine, state: SandboxState) -> None:
    """After a 500 nobody knows whether the run is queued, so it is not submitted again."""
    state.knobs.faults = [Fault(500, "broke", path="/prompt")]

    with pytest.raises(EngineUnavailable) as caught:
        await make().generate(requested())

    assert caught.value.may_have_cost
    assert len(sent(state)) == 1


async def test_an_unreachable_server_is_told(make: MakeEngine) -> None:
    """A refused connection is told without the address."""
    with pytest.raises(EngineUnavailable, match=r"^comfyui cannot be reached \(connection refused\): check"):
        await make(COMFYUI_BASE_URL="http://127.0.0.1:1").generate(requested())


async def test_a_short_pause_of_the_server_is_waited_out(make: MakeEngine, state: SandboxState) -> None:
    """A 503 or 429 that asks for a short wait is tried again."""
    state.knobs.faults = [
        Fault(503, "loading", path="/prompt"),
        Fault(429, "busy", {"retry-after": "1"}, path="/queue"),
    ]

    assert (await make().generate(requested())).images
