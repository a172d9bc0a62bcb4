"""How a workflow is checked and filled."""

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


def saved(**inputs: Any) -> dict[str, Any]:
    """A workflow whose node 1 has these inputs and whose node 2 saves."""
    return {
        "1": {"class_type": "Custom", "inputs": inputs},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }


def test_every_type_of_node_takes_its_value() -> None:
    """Model, prompts, size, count, steps and seed arrive in the inputs that the map names."""
    filled = template(CHECKPOINT.workflow, CHECKPOINT.nodes).fill(
        values(model="m", negative_prompt="rain", size=Size(640, 384), n=3, steps=7, seed=5)
    )

    assert filled["4"]["inputs"]["ckpt_name"] == "m"
    assert filled["6"]["inputs"]["text"] == "a lighthouse"
    assert filled["7"]["inputs"]["text"] == "rain"
    assert filled["5"]["inputs"] == {"width": 640, "height": 384, "batch_size": 3}
    assert (filled["3"]["inputs"]["steps"], filled["3"]["inputs"]["seed"]) == (7, 5)


def test_what_nobody_asked_for_stays_as_the_workflow_has_it() -> None:
    """A value of None leaves the input alone."""
    filled = template(FLUX.workflow, FLUX.nodes).fill(values())

    assert filled["12"]["inputs"]["unet_name"] == "flux1-dev.safetensors"
    assert (filled["27"]["inputs"]["width"], filled["17"]["inputs"]["steps"]) == (1024, 20)


def test_the_template_itself_is_not_changed() -> None:
    """Filling works on a copy."""
    made = template(CHECKPOINT.workflow, CHECKPOINT.nodes)
    made.fill(values(seed=5))

    assert made.workflow == CHECKPOINT.workflow


@pytest.mark.parametrize(
    ("kind", "name"), [("prompt", "text"), ("negative_prompt", "text"), ("n", "batch_size"), ("model", "ckpt_name")]
)
def test_a_missing_key_means_the_usual_input(kind: str, name: str) -> None:
    """An empty key stands for the input that the type usually has."""
    made = template(saved(**{name: "old"}), [{"type": kind, "key": "", "node_ids": ["1"]}])

    filled = made.fill(values(negative_prompt="rain", n=2, model="m"))

    assert filled["1"]["inputs"][name] in ("a lighthouse", "rain", 2, "m")


def test_several_nodes_take_the_same_value() -> None:
    """Every id of an entry is filled."""
    workflow = saved(text="") | {"3": {"class_type": "Custom", "inputs": {"text": ""}}}

    filled = template(workflow, [{"type": "prompt", "node_ids": ["1", "3"]}]).fill(values())

    assert filled["1"]["inputs"]["text"] == filled["3"]["inputs"]["text"] == "a lighthouse"


def test_a_constant_without_a_type_is_always_set() -> None:
    """A node without a type takes `value` into `key`."""
    filled = template(saved(cfg=7.0), [{"key": "cfg", "node_ids": ["1"], "value": 3.5}]).fill(values())

    assert filled["1"]["inputs"]["cfg"] == 3.5


def test_a_constant_of_a_type_gives_way_to_the_request() -> None:
    """`value` holds only where nobody asked for something else."""
    made = template(saved(steps=20), [{"type": "steps", "node_ids": ["1"], "value": 4}])

    assert made.fill(values())["1"]["inputs"]["steps"] == 4
    assert made.fill(values(steps=9))["1"]["inputs"]["steps"] == 9


def test_a_constant_count_holds_when_the_caller_names_none() -> None:
    """One image by default is not a count that somebody asked for."""
    made = template(saved(batch_size=1), [{"type": "n", "node_ids": ["1"], "value": 4}])

    assert made.fill(values())["1"]["inputs"]["batch_size"] == 4
    assert made.fill(values(n=1))["1"]["inputs"]["batch_size"] == 1


def test_the_count_is_one_where_nobody_says_anything() -> None:
    """The workflow's own batch size was for the editor, not for a caller who wants one image."""
    assert template(saved(batch_size=4), [{"type": "n", "node_ids": ["1"]}]).fill(values())["1"]["inputs"] == {
        "batch_size": 1
    }


def test_a_seed_node_gets_a_fresh_seed() -> None:
    """Without a seed two runs differ, and all seed nodes of one run agree."""
    made = template(saved(seed=0, noise_seed=0), [
        {"type": "seed", "node_ids": ["1"]}, {"type": "seed", "key": "noise_seed", "node_ids": ["1"]}
    ])  # fmt: skip

    first, second = made.fill(values()), made.fill(values())

    assert first["1"]["inputs"]["seed"] == first["1"]["inputs"]["noise_seed"]
    assert made.seed_in(first) != made.seed_in(second)


def test_runs_of_a_given_seed_count_upwards() -> None:
    """Run 2 of seed 5 is seed 7; past the largest seed it starts again."""
    made = template(CHECKPOINT.workflow, CHECKPOINT.nodes)

    assert made.seed_in(made.fill(values(seed=5), run=2)) == 7
    assert made.seed_in(made.fill(values(seed=2**64 - 1), run=1)) == 0


def test_a_constant_seed_is_kept() -> None:
    """An operator's constant is a seed that was named."""
    made = template(saved(seed=0), [{"type": "seed", "node_ids": ["1"], "value": 42}])

    assert made.seed_in(made.fill(values())) == 42


@pytest.mark.parametrize("workflow", [saved(text=""), saved(seed="random")])
def test_no_seed_is_told_where_there_is_none(workflow: dict[str, Any]) -> None:
    """Without a seed node, or with one that holds no number, the seed is not known."""
    assert template(workflow, []).seed_in(workflow) is None
    assert template(saved(seed=0), [{"type": "seed", "node_ids": ["1"]}]).seed_in(workflow) is None


def test_inputs_go_to_the_image_nodes_in_order() -> None:
    """The last one also goes to the nodes beyond the inputs."""
    filled = template(EDIT.workflow, EDIT.nodes).fill(values(), ["a.png", "sub/b.png"])

    assert [filled[node]["inputs"]["image"] for node in ("10", "11", "12")] == ["a.png", "sub/b.png", "sub/b.png"]


def test_an_unset_workflow_names_its_field() -> None:
    """Nothing can be run without one."""
    with pytest.raises(NotConfigured, match="COMFYUI_WORKFLOW is not set") as caught:
        WorkflowTemplate.load(ImagesConfig(), "COMFYUI")

    assert caught.value.field == "COMFYUI_WORKFLOW"


def test_the_editors_format_is_told_apart() -> None:
    """A workflow in the editor's format says how to export the other."""
    with pytest.raises(NotConfigured, match=r"editor's format.*Export \(API\)"):
        template({"nodes": [{"id": 1}], "links": []}, [])


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"type": "prompt", "node_ids": ["9"]}, "names node 9, which COMFYUI_WORKFLOW does not have"),
        ({"type": "seed", "node_ids": ["1"]}, "names input 'seed' of node 1, which has text"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(node: dict[str, Any], said: str) -> None:
    """A node or an input that is not there would be ignored by the server in silence."""
    with pytest.raises(NotConfigured, match=said) as caught:
        template(saved(text=""), [node])

    assert caught.value.field == "COMFYUI_WORKFLOW_NODES"


def test_a_workflow_that_saves_nothing_is_refused() -> None:
    """A workflow that ends in a core node that makes no file has no output."""
    workflow = {name: node for name, node in CHECKPOINT.workflow.items() if name != "9"}

    with pytest.raises(NotConfigured, match="no output node, such as SaveImage: it ends in VAEDecode"):
        template(workflow, [])


def test_an_output_node_of_a_custom_class_is_left_to_the_server() -> None:
    """Only the server knows what a custom node is."""
    assert template({"1": {"class_type": "SendToFrame", "inputs": {}}}, [])


def test_a_circle_is_refused() -> None:
    """A workflow without an end has no output."""
    with pytest.raises(NotConfigured, match="ends in a cycle"):
        template({"1": {"class_type": "Custom", "inputs": {"a": ["1", 0]}}}, [])


def test_fields_that_no_node_takes_are_named() -> None:
    """What the caller asked for and the map has no node for is a warning each."""
    made = template(saved(text="", width=1), [{"type": "width", "node_ids": ["1"]}])

    ignored = made.ignored(request(size=Size(8, 8), steps=3))

    assert [warning.split(" was")[0] for warning in ignored] == ["prompt", "size", "steps"]
    assert "no node of type height" in ignored[1]


def test_a_default_of_the_configuration_is_no_warning() -> None:
    """Only what the caller asked for is worth one."""
    made = template(saved(text=""), [{"type": "prompt", "node_ids": ["1"]}])

    assert made.ignored(ImageRequest(job_id="job", prompt="x", steps=3)) == []


def test_the_model_input_is_the_first_that_is_named() -> None:
    """Flux loads its model in another node than a checkpoint's."""
    assert template(FLUX.workflow, FLUX.nodes).model_input() == ("UNETLoader", "unet_name")
    assert template(saved(text=""), [{"type": "model", "key": "x", "node_ids": []}]).model_input() is None
