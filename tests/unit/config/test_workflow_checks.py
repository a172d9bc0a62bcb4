"""The checks of a ComfyUI workflow and its node map when they are stored."""

import json
from typing import Any

import pytest

from image_gateway.config.workflow_checks import check_node_maps, workflow_warnings
from image_gateway.errors import InvalidRequest
from image_gateway.models.config import ImagesConfig
from sandbox.engines.comfyui_workflows import CHECKPOINT, EDIT

PREFIXES = ("COMFYUI", "IMAGES_EDIT_COMFYUI")


def fields(prefix: str, workflow: Any, nodes: list[dict[str, Any]]) -> ImagesConfig:
    return ImagesConfig.model_validate({f"{prefix}_WORKFLOW": json.dumps(workflow), f"{prefix}_WORKFLOW_NODES": nodes})


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    "node", [{"type": "seed", "key": "noise_seed", "node_ids": ["3"]}, {"type": "prompt", "node_ids": ["4"]}]
)
def test_a_key_that_its_node_does_not_have_is_refused(prefix: str, node: dict[str, Any]) -> None:
    """The error names the field, the key and what the node has; the usual key of a type is checked like a given one."""
    config = fields(prefix, CHECKPOINT.workflow, [node])

    with pytest.raises(InvalidRequest, match=r"names input '(noise_seed|text)' of node [34], which has \w+") as caught:
        check_node_maps(ImagesConfig(), config)

    assert caught.value.field == f"{prefix}_WORKFLOW_NODES"


def test_a_map_that_does_not_change_is_not_checked() -> None:
    """A configuration with a wrong map from an earlier version can still be changed in other fields."""
    config = fields("COMFYUI", CHECKPOINT.workflow, [{"type": "seed", "key": "x", "node_ids": ["3"]}])

    check_node_maps(config, config.model_copy(update={"IMAGE_STEPS": 4}))


@pytest.mark.parametrize(
    ("prefix", "workflow", "nodes"),
    [("COMFYUI", CHECKPOINT.workflow, CHECKPOINT.nodes), ("IMAGES_EDIT_COMFYUI", EDIT.workflow, EDIT.nodes)],
)
def test_a_map_that_matches_its_workflow_passes(prefix: str, workflow: Any, nodes: Any) -> None:
    """The sample workflows need no warning."""
    config = fields(prefix, workflow, nodes)

    check_node_maps(ImagesConfig(), config)

    assert workflow_warnings(config, config) == []


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("node_ids", "warning"),
    [
        (["3"], "chooses no node that saves an image: node 3 (KSampler) makes no file"),
        (
            ["3", "8"],
            "chooses no node that saves an image: node 3 (KSampler) makes no file, node 8 (VAEDecode) makes no file",
        ),
        (["3", "9"], None),
        ([], None),
    ],
)
def test_a_choice_of_nodes_that_save_no_image_gets_a_warning(prefix: str, node_ids: list[str], warning: str) -> None:
    """Otherwise the first caller pays for a run whose images nobody gets."""
    nodes = [*CHECKPOINT.nodes, {"type": "image", "node_ids": ["9"], "key": "images"}]
    config = fields(prefix, CHECKPOINT.workflow, [*nodes, {"type": "output", "node_ids": node_ids}])

    assert workflow_warnings(config, config) == ([f"{prefix}_WORKFLOW_NODES {warning}"] if warning else [])


def test_an_output_entry_names_no_input() -> None:
    """It chooses nodes whose images are the answer."""
    config = fields("COMFYUI", CHECKPOINT.workflow, [*CHECKPOINT.nodes, {"type": "output", "node_ids": ["9"]}])

    check_node_maps(ImagesConfig(), config)

    assert workflow_warnings(config, config) == []


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("nodes", [[], [{"type": "seed", "node_ids": ["3"]}], [{"type": "prompt", "node_ids": []}]])
def test_a_map_that_takes_no_prompt_has_a_warning(prefix: str, nodes: list[dict[str, Any]]) -> None:
    """Every prompt would be ignored."""
    config = fields(prefix, CHECKPOINT.workflow, nodes)

    warnings = workflow_warnings(config, config)

    assert f"{prefix}_WORKFLOW_NODES names no node of type prompt: every prompt will be ignored" in warnings


def test_an_edit_workflow_without_image_nodes_has_a_warning() -> None:
    """No edit could run."""
    config = fields("IMAGES_EDIT_COMFYUI", CHECKPOINT.workflow, CHECKPOINT.nodes)

    assert workflow_warnings(config, config) == [
        "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES names no node of type image: every edit will be refused"
    ]


def test_a_workflow_that_saves_no_image_has_a_warning() -> None:
    """It ends in a node that is known to save nothing."""
    workflow = {name: node for name, node in CHECKPOINT.workflow.items() if node["class_type"] != "SaveImage"}
    config = fields("COMFYUI", workflow, CHECKPOINT.nodes)

    assert workflow_warnings(config, config) == [
        "COMFYUI_WORKFLOW has no output node, such as SaveImage: it ends in VAEDecode"
    ]


@pytest.mark.parametrize(
    ("node", "made"),
    [
        ({"class_type": "SaveWEBM", "inputs": {"images": ["8", 0]}}, "a video"),
        ({"class_type": "VHS_VideoCombine", "inputs": {"images": ["8", 0]}}, "a video"),
        ({"class_type": "SaveImageAdvanced", "inputs": {"images": ["8", 0], "format": "exr"}}, "an EXR file"),
        ({"class_type": "SaveAudioMP3", "inputs": {"images": ["8", 0]}}, "sound"),
        ({"class_type": "SaveGLB", "inputs": {"images": ["8", 0]}}, "a 3D model"),
    ],
)
def test_a_workflow_that_makes_something_else_has_a_warning(node: dict[str, Any], made: str) -> None:
    """Beside an image the warning says that it is left out, and else that every request will be refused."""
    without = {name: other for name, other in CHECKPOINT.workflow.items() if other["class_type"] != "SaveImage"}
    alone = fields("COMFYUI", {**without, "20": node}, CHECKPOINT.nodes)
    beside = fields("COMFYUI", {**CHECKPOINT.workflow, "20": node}, CHECKPOINT.nodes)

    where = f"node 20 ({node['class_type']}) makes {made}"
    assert workflow_warnings(alone, alone) == [f"COMFYUI_WORKFLOW saves no image: {where}"]
    assert workflow_warnings(beside, beside) == [f"COMFYUI_WORKFLOW: {where}, which is no image and is left out"]


def test_fields_that_an_update_does_not_set_have_no_warnings() -> None:
    """An update of other fields says nothing about the workflow."""
    config = fields("COMFYUI", CHECKPOINT.workflow, [])

    assert workflow_warnings(config, ImagesConfig(IMAGE_STEPS=4)) == []
