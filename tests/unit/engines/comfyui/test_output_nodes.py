"""Entries of type `output` in the node map: the nodes whose images are the answer."""

from typing import Any

import pytest

from image_gateway.errors import EngineRejected, NotConfigured
from sandbox.engines.comfyui_workflows import Sample
from sandbox.engines.state import SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import (
    MakeEngine,
    image_request,
    image_size,
    save_node,
    submitted,
    workflow_without_sampling,
)

pytestmark = pytest.mark.anyio

SCALED = {
    "5": {
        "class_type": "ImageScale",
        "inputs": {"image": ["3", 0], "upscale_method": "area", "width": 32, "height": 24, "crop": "disabled"},
    },
    "6": save_node("5", "small"),
    "7": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}},
}


def choosing(*node_ids: str) -> Sample:
    """Return a workflow with three outputs whose map chooses some of them."""
    return Sample(workflow_without_sampling(**SCALED).workflow, [{"type": "output", "node_ids": list(node_ids)}])


@pytest.mark.parametrize(
    ("node_ids", "sizes"),
    [(["6"], [(32, 24)]), (["4"], [(64, 48)]), (["6", "4"], [(64, 48), (32, 24)]), ([], [(64, 48), (32, 24)])],
)
async def test_only_the_images_of_the_chosen_nodes_are_returned(
    node_ids: list[str], sizes: list[Any], make_engine: MakeEngine, state: SandboxState
) -> None:
    """Without one, all saved images are the answer; the workflow itself does not change."""
    result = await make_engine(choosing(*node_ids)).generate(image_request())

    assert [image_size(image.data) for image in result.images] == sizes
    assert submitted(state)[0]["prompt"] == choosing().workflow


async def test_a_chosen_preview_is_returned_beside_saved_images(make_engine: MakeEngine) -> None:
    """The operator's choice comes before the rule that previews are no results."""
    result = await make_engine(choosing("7")).generate(image_request())

    assert [image_size(image.data) for image in result.images] == [(32, 24)]
    assert not any("saved" in warning for warning in result.warnings)


async def test_a_chosen_node_that_saves_no_image_is_refused_before_the_run(
    make_engine: MakeEngine, state: SandboxState
) -> None:
    """The run would be paid for, and nobody would get its images."""
    video = {"class_type": "SaveWEBM", "inputs": {"images": ["5", 0], "filename_prefix": "v"}}
    sample = Sample(
        workflow_without_sampling(**SCALED, **{"8": video}).workflow, [{"type": "output", "node_ids": ["8", "5"]}]
    )

    with pytest.raises(
        NotConfigured, match=r"node 5 \(ImageScale\) makes no file, node 8 \(SaveWEBM\) makes a video"
    ) as error:
        await make_engine(sample).generate(image_request())

    assert error.value.field == "COMFYUI_WORKFLOW_NODES"
    assert submitted(state) == []


async def test_a_chosen_node_without_images_is_named(make_engine: MakeEngine) -> None:
    """Of most classes it is not known what they save. The workflow ran, and the error says which field to correct."""
    noise = {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}}
    workflow = {**choosing().workflow, "9": noise}

    with pytest.raises(EngineRejected, match=r"returned no image: node 9 of COMFYUI_WORKFLOW_NODES has to"):
        await make_engine(Sample(workflow, choosing("9").nodes)).generate(image_request())


async def test_a_map_without_a_model_node_lists_no_models(make_engine: MakeEngine, state: SandboxState) -> None:
    """None of them could be chosen, so the server is not even called."""
    assert await make_engine(choosing("6")).models() == []
    assert state.record == []


async def test_an_output_entry_is_verified_as_a_node_and_not_as_an_input(make_engine: MakeEngine) -> None:
    """It fills no input."""
    await make_engine(choosing("6")).verify()
