"""The comfyui engine: edits."""

import copy
import hashlib
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
Color = tuple[int, ...]

RED, GREEN, BLUE, GRAY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
WIDTH, HEIGHT = 200, 120


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def app(state: SandboxState) -> Any:
    """The sandbox's ComfyUI server."""
    return create_app(state)


@pytest.fixture
async def make_engine(serve: Serve, connect: Connect, app: Any) -> MakeEngine:
    """Make an engine for edits with the sandbox's server."""
    url = serve(app)

    def make_engine(sample: Sample = EDIT) -> ComfyUIEngine:
        config = ImagesConfig(IMAGES_EDIT_COMFYUI_BASE_URL=url, **sample.fields("IMAGES_EDIT_COMFYUI"))
        return ComfyUIEngine(config, connect(), edit=True)

    return make_engine


def input_image(color: Color, mode: str = "RGB") -> InputImage:
    out = io.BytesIO()
    Image.new(mode, (WIDTH, HEIGHT), color).save(out, "PNG")
    return InputImage(out.getvalue(), "image/png", WIDTH, HEIGHT)


def right_half() -> InputImage:
    """Return a mask whose right half is transparent and so to be edited."""
    mask = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (WIDTH // 2, 0, WIDTH, HEIGHT))
    out = io.BytesIO()
    mask.save(out, "PNG")
    return InputImage(out.getvalue(), "image/png", WIDTH, HEIGHT)


def edit(*images: InputImage, **fields: Any) -> ImageRequest:
    return ImageRequest(job_id=str(uuid.uuid4()), prompt="a hat", images=images, requested=frozenset(fields), **fields)


def decode(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def colors(image: Image.Image, box: tuple[int, int, int, int]) -> set[Color]:
    part = image.crop(box)
    return {color for _count, color in part.getcolors(part.width * part.height) or [] if isinstance(color, tuple)}


def without(sample: Sample, kind: str) -> Sample:
    """Return the sample without the node map's entry of type `kind`; its mask is the alpha of the first image."""
    workflow = copy.deepcopy(sample.workflow)
    workflow["16"]["inputs"]["mask"] = ["10", 1]
    del workflow["13"]
    return Sample(workflow, [node for node in sample.nodes if node["type"] != kind])


def content_name(image: InputImage) -> str:
    """Return the name of an input on the server."""
    return f"{hashlib.sha256(image.data).hexdigest()}.png"


def uploads(state: SandboxState) -> list[str]:
    return [file["filename"] for recorded in state.record for file in recorded.files]


def loaded_names(state: SandboxState) -> list[str]:
    """Return the file names in the image nodes and the mask node of the run."""
    (body,) = [recorded.json for recorded in state.record if (recorded.method, recorded.path) == ("POST", "/prompt")]
    return [body["prompt"][node]["inputs"]["image"] for node in ("10", "11", "12", "13")]


async def test_an_input_image_is_uploaded_and_edited(make_engine: MakeEngine, state: SandboxState) -> None:
    """Its name is that of its content, in a folder of the gateway, and every pixel may change."""
    request = edit(input_image(RED))

    result = await make_engine().edit(request)

    image, mask = loaded_names(state)[0], loaded_names(state)[3]
    assert loaded_names(state) == [image, image, image, mask]
    assert image == f"image-gateway/{content_name(request.images[0])}"
    assert len(uploads(state)) == 2
    assert decode(result.images[0].data).size == (WIDTH, HEIGHT)
    assert result.warnings == []


async def test_several_input_images_keep_their_order(make_engine: MakeEngine) -> None:
    """The first is the background, the others are shown on it in order."""
    result = await make_engine().edit(edit(input_image(RED), input_image(GREEN), input_image(BLUE)))

    painted = decode(result.images[0].data)
    assert [painted.getpixel((x, 6)) for x in (8, 34, 58)] == [RED, GREEN, BLUE]


async def test_a_mask_limits_the_change(make_engine: MakeEngine) -> None:
    """Only the transparent half of the mask changes."""
    result = await make_engine().edit(edit(input_image(GRAY), mask=right_half()))

    painted = decode(result.images[0].data)
    assert colors(painted, (0, 0, WIDTH // 2 - 1, HEIGHT)) == {GRAY}
    assert len(colors(painted, (WIDTH // 2 + 1, 0, WIDTH, HEIGHT))) > 1


@pytest.mark.parametrize("channel", ["red", "green", "blue"])
async def test_a_mask_works_for_nodes_that_read_colors(channel: str, make_engine: MakeEngine) -> None:
    """A node that reads the mask from a color sees white where alpha is 0."""
    sample = Sample(copy.deepcopy(EDIT.workflow), EDIT.nodes)
    sample.workflow["13"]["inputs"]["channel"] = channel

    result = await make_engine(sample).edit(edit(input_image(GRAY), mask=right_half()))

    assert colors(decode(result.images[0].data), (0, 0, WIDTH // 2 - 1, HEIGHT)) == {GRAY}


@pytest.mark.parametrize("first", [input_image(GRAY), input_image((*GRAY, 255), "RGBA")])
async def test_without_a_mask_node_the_mask_is_the_first_inputs_alpha(
    first: InputImage, make_engine: MakeEngine
) -> None:
    """A workflow that reads its mask from the image finds it there; the colors do not change."""
    result = await make_engine(without(EDIT, "mask")).edit(edit(first, mask=right_half()))

    painted = decode(result.images[0].data)
    assert colors(painted, (0, 0, WIDTH // 2 - 1, HEIGHT)) == {GRAY}
    assert len(colors(painted, (WIDTH // 2 + 1, 0, WIDTH, HEIGHT))) > 1
    assert result.warnings == []


async def test_a_mask_that_no_node_reads_is_a_warning(make_engine: MakeEngine) -> None:
    """The workflow has no use for a mask."""
    sample = without(EDIT, "mask")
    sample.workflow["17"]["inputs"]["samples"] = ["15", 0]
    del sample.workflow["16"]

    result = await make_engine(sample).edit(edit(input_image(GRAY), mask=right_half()))

    assert result.warnings == ["mask was ignored: no node of IMAGES_EDIT_COMFYUI_WORKFLOW takes it"]


async def test_several_images_of_one_edit_differ(make_engine: MakeEngine) -> None:
    """They have the seed of the request."""
    result = await make_engine().edit(edit(input_image(RED), n=3, seed=5))

    assert len({image.data for image in result.images}) == 3
    assert {image.seed for image in result.images} == {5}


async def test_the_result_has_the_requested_size(make_engine: MakeEngine) -> None:
    """The image is scaled by the node map."""
    result = await make_engine().edit(edit(input_image(RED), size=Size(320, 200), mask=right_half()))

    assert decode(result.images[0].data).size == (320, 200)


async def test_the_same_image_is_one_file_on_the_server(make_engine: MakeEngine, state: SandboxState, app: Any) -> None:
    """No route of ComfyUI deletes an input, so neither edits nor inputs that are repeated add files."""
    for _ in range(3):
        await make_engine().edit(edit(input_image(RED), input_image(RED), input_image(BLUE)))

    inputs = [name for name in app.state.run_queue.files if name[0] == "input"]
    assert len(inputs) == 3
    assert len(uploads(state)) == 9


async def test_more_input_images_than_nodes_are_a_warning(make_engine: MakeEngine, state: SandboxState) -> None:
    """Images without a node are not uploaded."""
    result = await make_engine().edit(edit(*[input_image(RED)] * 5))

    assert result.warnings == ["the workflow takes 3 input images: 2 more were ignored"]
    assert len(uploads(state)) == 2


async def test_fewer_input_images_than_nodes_are_a_warning(make_engine: MakeEngine, state: SandboxState) -> None:
    """The last image is used for the missing ones."""
    result = await make_engine().edit(edit(input_image(RED), input_image(BLUE)))

    assert result.warnings == ["the workflow takes 3 input images: the last one was used for the rest"]
    assert loaded_names(state)[1] == loaded_names(state)[2]


async def test_a_name_that_the_server_changes_is_used(make_engine: MakeEngine, state: SandboxState, app: Any) -> None:
    """The server renames an upload if the name is taken; the workflow loads the new name."""
    request = edit(input_image(RED))
    name = content_name(request.images[0])
    app.state.run_queue.files["input", "image-gateway", name] = b"another file"

    await make_engine().edit(request)

    assert loaded_names(state)[0] == f"image-gateway/{name.removesuffix('.png')} (1).png"


async def test_a_folder_that_the_server_returns_is_used(make_engine: MakeEngine, state: SandboxState, app: Any) -> None:
    """A server may store uploads in a subfolder."""
    request = edit(input_image(RED))
    app.state.run_queue.files["input", "kept", "in.png"] = request.images[0].data
    kept = {"name": "in.png", "subfolder": "kept", "type": "input"}
    state.knobs.faults = [Fault(200, kept, path="/upload/image", times=2)]

    await make_engine().edit(request)

    assert loaded_names(state)[0] == "kept/in.png"


async def test_an_upload_response_without_a_name_is_an_error(make_engine: MakeEngine, state: SandboxState) -> None:
    """Without the name, the image cannot be loaded."""
    state.knobs.faults = [Fault(200, {}, path="/upload/image", times=-1)]

    with pytest.raises(EngineUnavailable, match="answered an upload without a file name"):
        await make_engine().edit(edit(input_image(RED)))


async def test_a_refused_upload_is_an_error(make_engine: MakeEngine, state: SandboxState) -> None:
    """The error has the server's text, and no workflow is submitted."""
    state.knobs.faults = [Fault(400, "no", path="/upload/image", times=-1)]

    with pytest.raises(EngineRejected, match="comfyui answered 400: no"):
        await make_engine().edit(edit(input_image(RED)))

    assert all(recorded.path == "/upload/image" for recorded in state.record)


async def test_a_map_without_an_image_node_names_its_field(make_engine: MakeEngine) -> None:
    """An edit needs a node for the image."""
    sample = Sample(EDIT.workflow, [node for node in EDIT.nodes if node["type"] != "image"])

    with pytest.raises(NotConfigured, match="names no node of type image") as caught:
        await make_engine(sample).edit(edit(input_image(RED)))

    assert caught.value.field == "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES"


async def test_a_retried_edit_finds_its_run(make_engine: MakeEngine, state: SandboxState) -> None:
    """The same bytes keep their file name, and the workflow is not run again."""
    request = edit(input_image(RED), mask=right_half())
    first = await make_engine().edit(request)

    second = await make_engine().edit(request)

    assert second.images == first.images
    assert len([recorded for recorded in state.record if recorded.path == "/prompt"]) == 1
