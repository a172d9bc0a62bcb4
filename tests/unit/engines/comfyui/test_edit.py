"""Edits of the comfyui engine against the sandbox's ComfyUI, over HTTP."""

import copy
import io
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from starlette.types import ASGIApp

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import EngineRejected, EngineUnavailable, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.comfyui import create_app
from sandbox.engines.comfyui_workflows import EDIT, Sample
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
MakeEngine = Callable[..., ComfyUIEngine]
Colour = tuple[int, ...]

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
WIDTH, HEIGHT = 200, 120


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def files(state: SandboxState) -> Any:
    """The server's files."""
    return create_app(state)


@pytest.fixture
async def make(serve: Serve, connect: Connect, files: Any) -> MakeEngine:
    """Make the engine for edits at the sandbox's server."""
    url = serve(files)

    def make(sample: Sample = EDIT) -> ComfyUIEngine:
        config = ImagesConfig(IMAGES_EDIT_COMFYUI_BASE_URL=url, **sample.fields("IMAGES_EDIT_COMFYUI"))
        return ComfyUIEngine(config, connect(), edit=True)

    return make


def input_image(colour: Colour, mode: str = "RGB") -> InputImage:
    out = io.BytesIO()
    Image.new(mode, (WIDTH, HEIGHT), colour).save(out, "PNG")
    return InputImage(out.getvalue(), "image/png", WIDTH, HEIGHT)


def right_half() -> InputImage:
    """A mask whose right half is transparent, that is to be edited."""
    mask = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (WIDTH // 2, 0, WIDTH, HEIGHT))
    out = io.BytesIO()
    mask.save(out, "PNG")
    return InputImage(out.getvalue(), "image/png", WIDTH, HEIGHT)


def edit(*images: InputImage, **fields: Any) -> ImageRequest:
    return ImageRequest(job_id=str(uuid.uuid4()), prompt="a hat", images=images, requested=frozenset(fields), **fields)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def colours(image: Image.Image, box: tuple[int, int, int, int]) -> set[Colour]:
    part = image.crop(box)
    return {colour for _count, colour in part.getcolors(part.width * part.height) or [] if isinstance(colour, tuple)}


def without(sample: Sample, kind: str) -> Sample:
    """The sample without the node map's entry of type `kind`, its mask taken from the first image's alpha."""
    workflow = copy.deepcopy(sample.workflow)
    workflow["16"]["inputs"]["mask"] = ["10", 1]
    del workflow["13"]
    return Sample(workflow, [node for node in sample.nodes if node["type"] != kind])


def uploads(state: SandboxState) -> list[str]:
    return [file["filename"] for requested in state.record for file in requested.files]


def loaded(state: SandboxState) -> list[str]:
    """The file names in the image nodes and the mask node of the run."""
    (body,) = [
        requested.json for requested in state.record if (requested.method, requested.path) == ("POST", "/prompt")
    ]
    return [body["prompt"][node]["inputs"]["image"] for node in ("10", "11", "12", "13")]


async def test_one_input_is_uploaded_and_painted_on(make: MakeEngine, state: SandboxState) -> None:
    """The image goes to the server under the job's id, and everything may change."""
    request = edit(input_image(RED))

    result = await make().edit(request)

    assert sorted(uploads(state)) == [f"{request.job_id}-0.png", f"{request.job_id}-1.png"]
    assert loaded(state) == [f"{request.job_id}-{number}.png" for number in (0, 0, 0, 1)]
    assert opened(result.images[0].data).size == (WIDTH, HEIGHT)
    assert result.warnings == []


async def test_several_inputs_keep_their_order(make: MakeEngine) -> None:
    """The first is the ground, the others are shown beside it in order."""
    result = await make().edit(edit(input_image(RED), input_image(GREEN), input_image(BLUE)))

    painted = opened(result.images[0].data)
    assert [painted.getpixel((x, 6)) for x in (8, 34, 58)] == [RED, GREEN, BLUE]


async def test_a_mask_limits_the_change(make: MakeEngine) -> None:
    """Left of the mask's transparent half nothing changes; right of it something does."""
    result = await make().edit(edit(input_image(GREY), mask=right_half()))

    painted = opened(result.images[0].data)
    assert colours(painted, (0, 0, WIDTH // 2 - 1, HEIGHT)) == {GREY}
    assert len(colours(painted, (WIDTH // 2 + 1, 0, WIDTH, HEIGHT))) > 1


@pytest.mark.parametrize("channel", ["red", "green", "blue"])
async def test_a_mask_is_right_for_nodes_that_read_colours(channel: str, make: MakeEngine) -> None:
    """A node that takes a mask from a colour sees white where alpha is 0."""
    sample = Sample(copy.deepcopy(EDIT.workflow), EDIT.nodes)
    sample.workflow["13"]["inputs"]["channel"] = channel

    result = await make(sample).edit(edit(input_image(GREY), mask=right_half()))

    assert colours(opened(result.images[0].data), (0, 0, WIDTH // 2 - 1, HEIGHT)) == {GREY}


@pytest.mark.parametrize("first", [input_image(GREY), input_image((*GREY, 255), "RGBA")])
async def test_without_a_mask_node_the_mask_is_the_first_inputs_alpha(first: InputImage, make: MakeEngine) -> None:
    """A workflow that takes its mask from the image gets it there, with the colours as they are."""
    result = await make(without(EDIT, "mask")).edit(edit(first, mask=right_half()))

    painted = opened(result.images[0].data)
    assert colours(painted, (0, 0, WIDTH // 2 - 1, HEIGHT)) == {GREY}
    assert len(colours(painted, (WIDTH // 2 + 1, 0, WIDTH, HEIGHT))) > 1
    assert result.warnings == []


async def test_a_mask_that_nothing_reads_is_told(make: MakeEngine) -> None:
    """A workflow without any use for a mask says so."""
    sample = without(EDIT, "mask")
    sample.workflow["17"]["inputs"]["samples"] = ["15", 0]
    del sample.workflow["16"]

    result = await make(sample).edit(edit(input_image(GREY), mask=right_half()))

    assert result.warnings == ["mask was ignored: no node of IMAGES_EDIT_COMFYUI_WORKFLOW takes it"]


async def test_three_images_of_one_edit(make: MakeEngine) -> None:
    """Three different images come back, with a seed."""
    result = await make().edit(edit(input_image(RED), n=3, seed=5))

    assert len({image.data for image in result.images}) == 3
    assert {image.seed for image in result.images} == {5}


async def test_a_size_is_the_size_of_the_result(make: MakeEngine) -> None:
    """The image is scaled as the node map says."""
    result = await make().edit(edit(input_image(RED), size=Size(320, 200), mask=right_half()))

    assert opened(result.images[0].data).size == (320, 200)


async def test_more_inputs_than_nodes_are_told(make: MakeEngine, state: SandboxState) -> None:
    """What the workflow has no node for is not even uploaded."""
    result = await make().edit(edit(*[input_image(RED)] * 5))

    assert result.warnings == ["the workflow takes 3 input images: 2 more were ignored"]
    assert len(uploads(state)) == 4


async def test_fewer_inputs_than_nodes_are_told(make: MakeEngine, state: SandboxState) -> None:
    """The last input stands in for those that are missing."""
    result = await make().edit(edit(input_image(RED), input_image(BLUE)))

    assert result.warnings == ["the workflow takes 3 input images: the last one was used for the rest"]
    assert loaded(state)[1] == loaded(state)[2]


async def test_a_name_that_the_server_changes_is_used(make: MakeEngine, state: SandboxState, files: Any) -> None:
    """A name that is taken gets another, and the workflow loads that."""
    request = edit(input_image(RED))
    files.state.run_queue.files["input", "", f"{request.job_id}-0.png"] = b"somebody else's"

    await make().edit(request)

    assert loaded(state)[0] == f"{request.job_id}-0 (1).png"


async def test_a_folder_that_the_server_answers_is_used(make: MakeEngine, state: SandboxState, files: Any) -> None:
    """A server may keep uploads below a folder."""
    request = edit(input_image(RED))
    files.state.run_queue.files["input", "kept", "in.png"] = request.images[0].data
    kept = {"name": "in.png", "subfolder": "kept", "type": "input"}
    state.knobs.faults = [Fault(200, kept, path="/upload/image", times=2)]

    await make().edit(request)

    assert loaded(state)[0] == "kept/in.png"


async def test_an_upload_without_an_answer_is_an_error(make: MakeEngine, state: SandboxState) -> None:
    """Without a name nothing can be loaded."""
    state.knobs.faults = [Fault(200, {}, path="/upload/image", times=-1)]

    with pytest.raises(EngineUnavailable, match="answered an upload without a file name"):
        await make().edit(edit(input_image(RED)))


async def test_an_upload_that_is_refused_is_an_error(make: MakeEngine, state: SandboxState) -> None:
    """The server's refusal reaches the caller, and nothing is run."""
    state.knobs.faults = [Fault(400, "no", path="/upload/image", times=-1)]

    with pytest.raises(EngineRejected, match="comfyui answered 400: no"):
        await make().edit(edit(input_image(RED)))

    assert all(requested.path == "/upload/image" for requested in state.record)


async def test_a_map_without_an_image_node_names_its_field(make: MakeEngine) -> None:
    """An edit needs somewhere to put the image."""
    sample = Sample(EDIT.workflow, [node for node in EDIT.nodes if node["type"] != "image"])

    with pytest.raises(NotConfigured, match="names no node of type image") as caught:
        await make(sample).edit(edit(input_image(RED)))

    assert caught.value.field == "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES"


async def test_a_retried_edit_finds_its_run(make: MakeEngine, state: SandboxState) -> None:
    """The same bytes keep their name, and nothing is run twice."""
    request = edit(input_image(RED), mask=right_half())
    first = await make().edit(request)

    second = await make().edit(request)

    assert second.images == first.images
    assert len([requested for requested in state.record if requested.path == "/prompt"]) == 1
