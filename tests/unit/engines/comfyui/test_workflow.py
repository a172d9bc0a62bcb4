"""How a workflow is checked and filled from a request."""

import json
from typing import Any

import pytest

from image_gateway.engines.comfyui.workflow import WorkflowTemplate, request_values
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.workflow import WorkflowNode
from sandbox.engines.comfyui_workflows import CHECKPOINT, EDIT, FLUX


def template(workflow: dict[str, Any], nodes: list[dict[str, Any]]) -> WorkflowTemplate:
    config = ImagesConfig.model_construct(
        COMFYUI_WORKFLOW=json.dumps(workflow), COMFYUI_WORKFLOW_NODES=[WorkflowNode(**node) for node in nodes]
    )
    return WorkflowTemplate.load(config, "COMFYUI")


def request(**fields: Any) -> ImageRequest:
    return ImageRequest(job_id="job", prompt="a lighthouse", requested=frozenset(fields), **fields)


def values(**fields: Any) -> dict[str, Any]:
    return request_values(request(**fields))


def workflow_with_inputs(**inputs: Any) -> dict[str, Any]:
    """Return a workflow whose node 1 has these inputs and whose node 2 saves."""
    return {
        "1": {"class_type": "Custom", "inputs": inputs},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }


def test_every_node_type_gets_its_value() -> None:
    """Model, prompts, size, count, steps and seed are set in the mapped inputs."""
    filled = template(CHECKPOINT.workflow, CHECKPOINT.nodes).fill(
        values(model="m", negative_prompt="rain", size=Size(640, 384), n=3, steps=7, seed=5)
    )

    assert filled["4"]["inputs"]["ckpt_name"] == "m"
    assert filled["6"]["inputs"]["text"] == "a lighthouse"
    assert filled["7"]["inputs"]["text"] == "rain"
    assert filled["5"]["inputs"] == {"width": 640, "height": 384, "batch_size": 3}
    assert (filled["3"]["inputs"]["steps"], filled["3"]["inputs"]["seed"]) == (7, 5)


def test_fields_that_are_not_set_keep_the_workflows_value() -> None:
    """A value of None leaves the input unchanged."""
    filled = template(FLUX.workflow, FLUX.nodes).fill(values())

    assert filled["12"]["inputs"]["unet_name"] == "flux1-dev.safetensors"
    assert (filled["27"]["inputs"]["width"], filled["17"]["inputs"]["steps"]) == (1024, 20)


def test_the_template_itself_is_not_changed() -> None:
    """Filling works on a copy."""
    loaded = template(CHECKPOINT.workflow, CHECKPOINT.nodes)
    loaded.fill(values(seed=5))

    assert loaded.workflow == CHECKPOINT.workflow


@pytest.mark.parametrize(
    ("kind", "name"), [("prompt", "text"), ("negative_prompt", "text"), ("n", "batch_size"), ("model", "ckpt_name")]
)
def test_an_empty_key_means_the_usual_input(kind: str, name: str) -> None:
    """The usual input depends on the type."""
    loaded = template(workflow_with_inputs(**{name: "old"}), [{"type": kind, "key": "", "node_ids": ["1"]}])

    filled = loaded.fill(values(negative_prompt="rain", n=2, model="m"))

    assert filled["1"]["inputs"][name] in ("a lighthouse", "rain", 2, "m")


def test_all_nodes_of_an_entry_get_the_value() -> None:
    """An entry may have several node ids."""
    workflow = workflow_with_inputs(text="") | {"3": {"class_type": "Custom", "inputs": {"text": ""}}}

    filled = template(workflow, [{"type": "prompt", "node_ids": ["1", "3"]}]).fill(values())

    assert filled["1"]["inputs"]["text"] == filled["3"]["inputs"]["text"] == "a lighthouse"


def test_a_constant_without_a_type_is_always_set() -> None:
    """For a node without a type, `value` is set in the input `key`."""
    filled = template(workflow_with_inputs(cfg=7.0), [{"key": "cfg", "node_ids": ["1"], "value": 3.5}]).fill(values())

    assert filled["1"]["inputs"]["cfg"] == 3.5


def test_the_request_overrides_a_constant_of_a_type() -> None:
    """`value` applies only if the request does not set the field."""
    loaded = template(workflow_with_inputs(steps=20), [{"type": "steps", "node_ids": ["1"], "value": 4}])

    assert loaded.fill(values())["1"]["inputs"]["steps"] == 4
    assert loaded.fill(values(steps=9))["1"]["inputs"]["steps"] == 9


def test_a_constant_count_applies_if_the_caller_sets_none() -> None:
    """The default of one image is not a requested count."""
    loaded = template(workflow_with_inputs(batch_size=1), [{"type": "n", "node_ids": ["1"], "value": 4}])

    assert loaded.fill(values())["1"]["inputs"]["batch_size"] == 4
    assert loaded.fill(values(n=1))["1"]["inputs"]["batch_size"] == 1


def test_the_count_is_one_by_default() -> None:
    """The workflow's own batch size was meant for the editor."""
    assert template(workflow_with_inputs(batch_size=4), [{"type": "n", "node_ids": ["1"]}]).fill(values())["1"][
        "inputs"
    ] == {"batch_size": 1}


def test_a_seed_node_gets_a_fresh_seed() -> None:
    """Without a seed two runs differ, and all seed nodes of one run have the same seed."""
    loaded = template(workflow_with_inputs(seed=0, noise_seed=0), [
        {"type": "seed", "node_ids": ["1"]}, {"type": "seed", "key": "noise_seed", "node_ids": ["1"]}
    ])  # fmt: skip

    first, second = loaded.fill(values()), loaded.fill(values())

    assert first["1"]["inputs"]["seed"] == first["1"]["inputs"]["noise_seed"]
    assert loaded.seed_in(first) != loaded.seed_in(second)


def test_each_run_increments_a_given_seed() -> None:
    """Run 2 of seed 5 has seed 7; after the largest seed follows 0."""
    loaded = template(CHECKPOINT.workflow, CHECKPOINT.nodes)

    assert loaded.seed_in(loaded.fill(values(seed=5), run=2)) == 7
    assert loaded.seed_in(loaded.fill(values(seed=2**64 - 1), run=1)) == 0


def test_a_constant_seed_is_kept() -> None:
    """The operator's constant is used in every run."""
    loaded = template(workflow_with_inputs(seed=0), [{"type": "seed", "node_ids": ["1"], "value": 42}])

    assert loaded.seed_in(loaded.fill(values())) == 42


def test_a_constant_seed_of_minus_one_is_a_fresh_one() -> None:
    """Two runs differ, and no node gets a negative seed."""
    loaded = template(workflow_with_inputs(seed=0), [{"type": "seed", "node_ids": ["1"], "value": -1}])

    seeds = {loaded.seed_in(loaded.fill(values())) for _ in range(3)}

    assert len(seeds) == 3
    assert min(seed for seed in seeds if seed is not None) >= 0


@pytest.mark.parametrize("workflow", [workflow_with_inputs(text=""), workflow_with_inputs(seed="random")])
def test_the_seed_is_unknown_without_a_numeric_seed_node(workflow: dict[str, Any]) -> None:
    """The workflow may have no seed node, or one without a number."""
    assert template(workflow, []).seed_in(workflow) is None
    assert template(workflow_with_inputs(seed=0), [{"type": "seed", "node_ids": ["1"]}]).seed_in(workflow) is None


def test_input_images_go_to_the_image_nodes_in_order() -> None:
    """Further nodes get the last image."""
    filled = template(EDIT.workflow, EDIT.nodes).fill(values(), ["a.png", "sub/b.png"])

    assert [filled[node]["inputs"]["image"] for node in ("10", "11", "12")] == ["a.png", "sub/b.png", "sub/b.png"]


def test_an_unset_workflow_names_its_field() -> None:
    """Without a workflow nothing can be run."""
    with pytest.raises(NotConfigured, match="COMFYUI_WORKFLOW is not set") as caught:
        WorkflowTemplate.load(ImagesConfig(), "COMFYUI")

    assert caught.value.field == "COMFYUI_WORKFLOW"


def test_the_editors_format_is_detected() -> None:
    """The error says how to export the API format."""
    with pytest.raises(NotConfigured, match=r"editor's format.*Export \(API\)"):
        template({"nodes": [{"id": 1}], "links": []}, [])


@pytest.mark.parametrize(
    ("node", "text"),
    [
        ({"type": "prompt", "node_ids": ["9"]}, "names node 9, which COMFYUI_WORKFLOW does not have"),
        ({"type": "seed", "node_ids": ["1"]}, "names input 'seed' of node 1, which has text"),
    ],
)
def test_a_map_that_does_not_match_the_workflow_is_refused(node: dict[str, Any], text: str) -> None:
    """The server would silently ignore a missing node or input."""
    with pytest.raises(NotConfigured, match=text) as caught:
        template(workflow_with_inputs(text=""), [node])

    assert caught.value.field == "COMFYUI_WORKFLOW_NODES"


def test_a_workflow_without_an_output_is_refused() -> None:
    """It ends in a core node that saves no file."""
    workflow = {name: node for name, node in CHECKPOINT.workflow.items() if name != "9"}

    with pytest.raises(NotConfigured, match="no output node, such as SaveImage: it ends in VAEDecode"):
        template(workflow, [])


def test_a_custom_class_may_be_an_output_node() -> None:
    """Only the server knows custom classes."""
    assert template({"1": {"class_type": "SendToFrame", "inputs": {}}}, [])


def test_a_cycle_is_refused() -> None:
    """A workflow without a last node has no output."""
    with pytest.raises(NotConfigured, match="ends in a cycle"):
        template({"1": {"class_type": "Custom", "inputs": {"a": ["1", 0]}}}, [])


def test_fields_without_a_node_are_warnings() -> None:
    """Each of the caller's fields without a node has a warning."""
    loaded = template(workflow_with_inputs(text="", width=1), [{"type": "width", "node_ids": ["1"]}])

    ignored = loaded.ignored(request(size=Size(8, 8), steps=3))

    assert [warning.split(" was")[0] for warning in ignored] == ["prompt", "size", "steps"]
    assert "no node of type height" in ignored[1]


def test_a_size_without_nodes_has_one_warning() -> None:
    """It names both kinds of nodes."""
    loaded = template(workflow_with_inputs(text=""), [{"type": "prompt", "node_ids": ["1"]}])

    assert loaded.ignored(request(size=Size(8, 8))) == [
        "size was ignored: COMFYUI_WORKFLOW_NODES names no node of type width or height"
    ]


def test_a_configured_default_without_a_node_gives_no_warning() -> None:
    """Only the caller's fields have warnings."""
    loaded = template(workflow_with_inputs(text=""), [{"type": "prompt", "node_ids": ["1"]}])

    assert loaded.ignored(ImageRequest(job_id="job", prompt="x", steps=3)) == []


def test_the_model_input_is_that_of_the_first_model_node() -> None:
    """Flux loads its model in another node than a checkpoint's."""
    assert template(FLUX.workflow, FLUX.nodes).model_input() == ("UNETLoader", "unet_name")
    assert (
        template(workflow_with_inputs(text=""), [{"type": "model", "key": "x", "node_ids": []}]).model_input() is None
    )
