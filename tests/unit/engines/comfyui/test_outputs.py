"""The comfyui engine: the images of a run, incomplete runs, and cached runs."""

import io

import pytest
from PIL import Image

from image_gateway.errors import (
    EngineRejected,
    EngineUnavailable,
    NotConfigured,
)
from sandbox.engines.comfyui_queue import RunQueue
from sandbox.engines.comfyui_workflows import Sample
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import (
    MakeEngine,
    image_request,
    image_size,
    save_node,
    submitted,
    workflow_without_sampling,
)

pytestmark = pytest.mark.anyio


async def test_the_images_of_all_output_nodes_are_returned(make_engine: MakeEngine) -> None:
    """They have the workflow's order, without previews; more images than requested are a warning."""
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    sample = workflow_without_sampling(**{"5": preview, "6": save_node("1")})
    seed = {"type": "seed", "key": "color", "node_ids": ["1"]}

    result = await make_engine(Sample(sample.workflow, [seed])).generate(image_request(seed=0xFF0000))

    colors = [Image.open(io.BytesIO(image.data)).getpixel((0, 0)) for image in result.images]
    assert colors == [(0, 255, 255), (255, 0, 0)]
    assert "the workflow saved 2 images for n=1" in result.warnings


async def test_previews_are_returned_if_there_is_no_other_output(make_engine: MakeEngine) -> None:
    """The images of a workflow that only previews are its previews."""
    sample = workflow_without_sampling()
    del sample.workflow["4"]
    sample.workflow["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}

    result = await make_engine(sample).generate(image_request())

    assert [image_size(image.data) for image in result.images] == [(64, 48)]


async def test_an_image_in_a_subfolder_is_downloaded(make_engine: MakeEngine, state: SandboxState) -> None:
    """The folder is a parameter of its own."""
    sample = workflow_without_sampling(**{"4": save_node("3", "sub/dir/img")})

    result = await make_engine(sample).generate(image_request())

    viewed = [request.query for request in state.record if request.path == "/view"]
    assert viewed == [{"filename": "img_00001_.png", "subfolder": "sub/dir", "type": "output"}]
    assert result.images


async def test_a_failed_node_is_a_warning_if_other_outputs_were_saved(make_engine: MakeEngine) -> None:
    """The warning has the node and its error text."""
    fail = {"class_type": "SandboxFail", "inputs": {"image": ["3", 0], "message": "CUDA out of memory"}}

    result = await make_engine(workflow_without_sampling(**{"5": fail, "6": save_node("5")})).generate(image_request())

    assert len(result.images) == 1
    assert "not every output was made: node 5 (SandboxFail): CUDA out of memory" in result.warnings


async def test_a_preview_is_not_returned_if_the_output_failed(make_engine: MakeEngine) -> None:
    """The preview shows an intermediate step."""
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    fail = {"class_type": "SandboxFail", "inputs": {"image": ["3", 0], "message": "broke"}}
    sample = workflow_without_sampling()
    sample.workflow["4"] = preview

    with pytest.raises(EngineUnavailable, match=r"node 5 \(SandboxFail\): broke"):
        await make_engine(Sample({**sample.workflow, "5": fail, "6": save_node("5")}, sample.nodes)).generate(
            image_request()
        )


async def test_a_failed_node_is_an_error_if_nothing_was_saved(make_engine: MakeEngine) -> None:
    """The error has the node and its message; the run may have cost something."""
    fail = {"class_type": "SandboxFail", "inputs": {"image": ["3", 0], "message": "CUDA out of memory"}}

    with pytest.raises(EngineUnavailable, match=r"node 5 \(SandboxFail\): CUDA out of memory") as caught:
        await make_engine(workflow_without_sampling(**{"5": fail, "4": save_node("5")})).generate(image_request())

    assert caught.value.may_have_cost


async def test_an_invalid_output_is_a_warning_if_others_are_valid(make_engine: MakeEngine) -> None:
    """The server skips it without an error."""
    load = {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}

    result = await make_engine(workflow_without_sampling(**{"5": load, "6": save_node("5")})).generate(image_request())

    assert len(result.images) == 1
    assert "node 5 (LoadImage): Custom validation failed" in result.warnings[0]


async def test_an_invalid_output_is_an_error_if_there_is_no_other_image(make_engine: MakeEngine) -> None:
    """Here the valid output is only a preview."""
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    load = {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}

    with pytest.raises(EngineRejected, match=r"left out the outputs of COMFYUI_WORKFLOW: node 5 \(LoadImage\)"):
        await make_engine(workflow_without_sampling(**{"4": preview, "5": load, "6": save_node("5")})).generate(
            image_request()
        )


async def test_a_cached_run_returns_its_image(make_engine: MakeEngine, run_queue: RunQueue) -> None:
    """The same seed writes no new file and still returns the image."""
    engine = make_engine()
    first = await engine.generate(image_request(seed=5))

    second = await engine.generate(image_request(seed=5))

    assert second.images == first.images
    assert len(run_queue.files) == 1


async def test_a_cached_run_without_its_file_is_repeated_with_another_seed(
    make_engine: MakeEngine, run_queue: RunQueue
) -> None:
    """A warning says that another seed was used."""
    engine = make_engine()
    await engine.generate(image_request(seed=5))
    run_queue.files.clear()

    result = await engine.generate(image_request(seed=5))

    assert len(result.images) == 1
    assert result.images[0].seed != 5
    assert result.warnings == ["another seed was used: the server no longer has the image of the requested one"]


async def test_a_missing_file_is_an_error_without_a_seed_node(make_engine: MakeEngine, run_queue: RunQueue) -> None:
    """The server would use its cache again."""
    engine = make_engine(workflow_without_sampling())
    await engine.generate(image_request())
    run_queue.remove_outputs()

    with pytest.raises(
        NotConfigured, match=r"the file of an identical run is gone.*name a node of type seed"
    ) as caught:
        await engine.generate(image_request())

    assert caught.value.field == "COMFYUI_WORKFLOW_NODES"


async def test_a_missing_file_of_the_repeated_run_is_an_error(make_engine: MakeEngine, state: SandboxState) -> None:
    """The run is repeated only once."""
    state.knobs.faults = [Fault(status=404, times=-1, path="/view")]

    with pytest.raises(EngineUnavailable, match="saved an image and no longer has it"):
        await make_engine().generate(image_request())

    assert len(submitted(state)) == 2


async def test_an_empty_file_is_an_error(make_engine: MakeEngine, state: SandboxState) -> None:
    """A response without bytes is not an image."""
    state.knobs.faults = [Fault(status=200, path="/view")]

    with pytest.raises(EngineUnavailable, match="empty file"):
        await make_engine().generate(image_request())


async def test_an_empty_file_does_not_lose_the_other_images(make_engine: MakeEngine, state: SandboxState) -> None:
    """The run has made them, and a warning says that one is missing."""
    state.knobs.faults = [Fault(status=200, path="/view")]

    result = await make_engine().generate(image_request(n=2))

    assert len(result.images) == 1
    assert any("1 of 2 images were lost: comfyui returned an empty file" in warning for warning in result.warnings)


async def test_a_run_without_images_names_the_workflow(make_engine: MakeEngine, state: SandboxState) -> None:
    """A workflow may save only text or sound."""
    request = image_request()
    status = {"status_str": "success", "completed": True, "messages": []}
    entry = {"outputs": {"4": {"text": ["a"]}}, "status": status}
    state.knobs.faults = [Fault(status=200, body={request.job_id: entry}, path=f"/history/{request.job_id}", skip=1)]

    with pytest.raises(EngineRejected, match="returned no image: COMFYUI_WORKFLOW has to save an image"):
        await make_engine().generate(request)
