"""Proposed node maps make images: each sample whose nodes the sandbox's ComfyUI has is run with its proposal."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from starlette.types import ASGIApp

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.comfyui.inspection import Inspection, inspect_workflow
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineResult, InputImage
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.comfyui import create_app
from sandbox.engines.comfyui_more_nodes import NODES
from sandbox.engines.state import SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import image_request, submitted
from tests.workflow_samples import Sample, samples

pytestmark = pytest.mark.anyio

RUNNABLE = [
    sample
    for sample in samples()
    if "output" in sample.expected and {node["class_type"] for node in sample.workflow.values()} <= NODES.keys()
]
VALUES = {"prompt": "a red fox", "negative_prompt": "blue", "steps": 3, "seed": 7, "width": 64, "height": 48, "n": 1}


def on_this_server(workflow: dict[str, Any]) -> dict[str, Any]:
    """Return the workflow with files and other choices that the sandbox's server has."""
    changed = copy.deepcopy(workflow)
    for node in changed.values():
        declared = NODES[node["class_type"]].inputs
        for name, value in node["inputs"].items():
            choices = declared[name][0] if name in declared else None
            if isinstance(choices, list) and choices and not isinstance(value, list) and value not in choices:
                node["inputs"][name] = choices[0]
    return changed


def png(mode: str, color: tuple[int, ...]) -> InputImage:
    out = io.BytesIO()
    Image.new(mode, (64, 48), color).save(out, "PNG")
    return InputImage(out.getvalue(), "image/png", 64, 48)


@pytest.mark.parametrize("sample", RUNNABLE, ids=lambda sample: sample.name)
async def test_a_proposed_map_makes_an_image(
    sample: Sample, serve: Callable[[ASGIApp], str], connect: Callable[..., Connection]
) -> None:
    """Every value of the request arrives at the inputs that were proposed for it."""
    state = SandboxState()
    workflow = on_this_server(sample.workflow)
    inspection = inspect_workflow(workflow)
    types = {node.type for node in inspection.nodes}

    result = await run(workflow, inspection, serve(create_app(state)), connect(), edit="image" in types)

    (sent,) = submitted(state)
    for node in inspection.nodes:
        arrived = {str(sent["prompt"][node_id]["inputs"].get(node.key)) for node_id in node.node_ids}
        if node.type in VALUES:
            assert (node.type, arrived) == (node.type, {str(VALUES[node.type])})
        elif node.type in ("image", "mask"):
            assert all(name.startswith("image-gateway/") for name in arrived)
    (image,) = result.images
    if next((node.sure for node in inspection.nodes if node.type == "width"), False):
        enlarged = 2 if "ImageUpscaleWithModel" in {node["class_type"] for node in workflow.values()} else 1
        assert Image.open(io.BytesIO(image.data)).size == (64 * enlarged, 48 * enlarged)


def test_enough_samples_are_run() -> None:
    """The sandbox knows the nodes of most samples that need no extension."""
    assert len(RUNNABLE) >= 12


async def run(
    workflow: dict[str, Any], inspection: Inspection, url: str, connection: Connection, *, edit: bool
) -> EngineResult:
    """Make an image by a workflow and the map that was proposed for it."""
    nodes = [{"type": node.type, "key": node.key, "node_ids": list(node.node_ids)} for node in inspection.nodes]
    prefix = "IMAGES_EDIT_COMFYUI" if edit else "COMFYUI"
    fields: dict[str, Any] = {
        f"{prefix}_BASE_URL": url,
        f"{prefix}_WORKFLOW": workflow,
        f"{prefix}_WORKFLOW_NODES": nodes,
    }
    engine = ComfyUIEngine(ImagesConfig(**fields), connection, edit=edit)
    size = Size(VALUES["width"], VALUES["height"])  # type: ignore[arg-type]  # the two are numbers
    chosen = {name: VALUES[name] for name in ("prompt", "negative_prompt", "steps", "seed")}
    images = (png("RGB", (200, 0, 0)),) if edit else ()
    mask = png("RGBA", (0, 0, 0, 0)) if edit and any(node.type == "mask" for node in inspection.nodes) else None
    request = image_request(**chosen, size=size, images=images, mask=mask)
    return await (engine.edit(request) if edit else engine.generate(request))
