"""Workflows that save files that are no images: videos, EXR and sound; and animations."""

from typing import Any

import pytest

from image_gateway.errors import EngineRejected, NotConfigured
from sandbox.engines.comfyui_queue import RunQueue
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import (
    MakeEngine,
    image_request,
    save_node,
    submitted,
    workflow_without_sampling,
)

pytestmark = pytest.mark.anyio

WEBM = {
    "class_type": "SaveWEBM",
    "inputs": {"images": ["3", 0], "filename_prefix": "clip", "codec": "vp9", "fps": 24.0, "crf": 32.0},
}
EXR = {"class_type": "SaveImageAdvanced", "inputs": {"images": ["3", 0], "filename_prefix": "high", "format": "exr"}}
PNG = {"class_type": "SaveImageAdvanced", "inputs": {"images": ["3", 0], "filename_prefix": "high", "format": "png"}}


def saving(*nodes: dict[str, Any]) -> Sample:
    """Return a workflow whose last nodes are these."""
    sample = workflow_without_sampling()
    del sample.workflow["4"]
    return Sample({**sample.workflow, **{str(number): node for number, node in enumerate(nodes, 10)}}, [])


@pytest.mark.parametrize(("node", "made"), [(WEBM, "a video"), (EXR, "an EXR file")])
async def test_a_workflow_that_saves_no_image_is_refused_before_it_runs(
    node: dict[str, Any], made: str, make_engine: MakeEngine, state: SandboxState
) -> None:
    """The error says what the workflow makes, and nothing is paid for it."""
    with pytest.raises(NotConfigured, match=rf"saves no image: node 10 \(\w+\) makes {made}") as caught:
        await make_engine(saving(node)).generate(image_request())

    assert caught.value.field == "COMFYUI_WORKFLOW"
    assert submitted(state) == []


@pytest.mark.parametrize("node", [WEBM, EXR])
async def test_beside_an_image_another_file_is_left_out(node: dict[str, Any], make_engine: MakeEngine) -> None:
    """Nothing is lost: the warning names the file that is not returned."""
    result = await make_engine(saving(node, save_node("3"))).generate(image_request())

    assert len(result.images) == 1
    left_out = [warning for warning in result.warnings if "is no image and was left out" in warning]
    assert len(left_out) == 1
    assert left_out[0].startswith("the workflow also saved ")


async def test_an_advanced_png_is_an_image(make_engine: MakeEngine) -> None:
    """The same node saves an image in another format."""
    assert len((await make_engine(saving(PNG)).generate(image_request())).images) == 1


@pytest.mark.parametrize(
    "outputs",
    [
        {"images": [{"filename": "a_00001_.mp4", "subfolder": "video", "type": "output"}], "animated": [True]},
        {"gifs": [{"filename": "a_00001_.mp4", "subfolder": "", "type": "output", "format": "video/h264-mp4"}]},
        {"audio": [{"filename": "a_00001_.mp4", "subfolder": "", "type": "output"}]},
    ],
)
async def test_what_an_unknown_node_saved_is_named(
    outputs: dict[str, Any], make_engine: MakeEngine, state: SandboxState
) -> None:
    """Only after the run is it known what an extension's node saves; the engine is not called unavailable."""
    request = image_request()
    entry = {"outputs": {"4": outputs}, "status": {"status_str": "success", "completed": True, "messages": []}}
    state.knobs.faults = [Fault(status=200, body={request.job_id: entry}, path=f"/history/{request.job_id}", skip=1)]

    with pytest.raises(
        EngineRejected, match=r"saved a_00001_\.mp4, which is no image: COMFYUI_WORKFLOW has to"
    ) as caught:
        await make_engine().generate(request)

    assert caught.value.may_have_cost


async def test_a_gif_of_an_extension_is_an_image(
    make_engine: MakeEngine, state: SandboxState, run_queue: RunQueue
) -> None:
    """VideoHelperSuite lists its files as `gifs`, whatever they are."""
    request = image_request()
    file = {"filename": "a_00001.gif", "subfolder": "", "type": "output"}
    entry = {"outputs": {"4": {"gifs": [file]}}, "status": {"status_str": "success", "completed": True, "messages": []}}
    state.knobs.faults = [Fault(status=200, body={request.job_id: entry}, path=f"/history/{request.job_id}", skip=1)]
    run_queue.files["output", "", "a_00001.gif"] = b"GIF89a"

    assert [image.data for image in (await make_engine().generate(request)).images] == [b"GIF89a"]


async def test_an_animation_is_not_run_again_for_more_images(make_engine: MakeEngine, state: SandboxState) -> None:
    """The batch is its frames, so further runs would make as many animations of one frame."""
    workflow = {**CHECKPOINT.workflow}
    (saving_node,) = [name for name, node in workflow.items() if node["class_type"] == "SaveImage"]
    inputs = {**workflow[saving_node]["inputs"], "fps": 6.0, "lossless": True, "quality": 80, "method": "default"}
    workflow[saving_node] = {"class_type": "SaveAnimatedWEBP", "inputs": inputs}

    result = await make_engine(Sample(workflow, CHECKPOINT.nodes)).generate(image_request(n=4))

    assert len(submitted(state)) == len(result.images) == 1
    assert "the workflow makes one animation, and n=4 is the number of its frames" in result.warnings
