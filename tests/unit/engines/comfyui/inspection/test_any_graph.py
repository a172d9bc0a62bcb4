"""An inspection of any graph ends soon, and names only inputs that can be filled."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_gateway.engines.comfyui.inspection import Inspection, inspect_workflow
from image_gateway.engines.comfyui.inspection.graph import MAX_STEPS, Graph
from image_gateway.engines.comfyui.inspection.inspect import inspect_graph
from image_gateway.engines.comfyui.inspection.known_classes import known_classes
from image_gateway.models.workflow import Workflow, WorkflowNode, missing_input
from tests.workflow_samples import Sample, parse_nodes, samples

_NAMES = [
    *("positive", "negative", "conditioning", "text", "text_g", "prompt", "model", "clip", "latent_image", "samples"),
    *("images", "image", "image1", "image2", "mask", "seed", "noise_seed", "steps", "width", "height", "batch_size"),
    *("noise", "guider", "sigmas", "pipe", "value", "string_a", "string_b", "switch", "on_true", "ckpt_name", "any"),
]
_CLASSES = [*known_classes(), "My Sampler", "My Loader Image", "Reroute", ""]
_IDS = st.sampled_from([*map(str, range(12)), "57:8", "missing"])
_LINKS = st.tuples(_IDS, st.integers(-1, 5)).map(list)
_VALUES: st.SearchStrategy[Any] = st.one_of(
    _LINKS,
    _LINKS,
    st.text(max_size=5),
    st.integers(),
    st.booleans(),
    st.none(),
    st.just({"on": True}),
    st.just([1, 2, 3]),
)
_NODES = st.fixed_dictionaries(
    {"class_type": st.sampled_from(_CLASSES), "inputs": st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8)}
)


@given(st.dictionaries(_IDS, _NODES, min_size=1, max_size=12))
def test_any_graph_gives_a_map_that_its_workflow_can_take(workflow: Workflow) -> None:
    """Also with cycles and links to nowhere, every proposal names an input of a node that is not linked."""
    assert_fits(inspect_workflow(workflow), workflow)


@given(st.recursive(_VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=9))
def test_any_json_gives_an_answer(value: Any) -> None:
    """What is no workflow has a problem, and no proposals."""
    inspection = inspect_workflow(json.dumps(value))

    assert inspection.problems
    assert not inspection.nodes


@given(st.text(max_size=30))
def test_any_text_gives_an_answer(text: str) -> None:
    """A text that is no JSON is reported as such, and not raised."""
    assert inspect_workflow(text).problems


@pytest.mark.parametrize("nodes", [500, 5000])
def test_long_chains_take_a_number_of_steps_in_proportion(nodes: int) -> None:
    """A workflow of thousands of nodes in a row is followed to its end, within the limit of steps."""
    workflow = chain(nodes)
    graph = Graph(workflow)

    inspection = inspect_graph(graph)

    assert [node.node_ids for node in inspection.nodes if node.type == "prompt"] == [("text",)]
    assert graph.steps < 10 * nodes


def test_dense_graphs_stop_at_the_limit() -> None:
    """A graph in which every node is linked to many others is not followed for ever: it has a problem."""
    workflow = {
        str(node): {
            "class_type": "KSampler" if node % 3 else "ConditioningCombine",
            "inputs": {
                **{f"conditioning_{number}": [str((node * 7 + number * 13) % 700), number] for number in range(60)},
                **{name: [str((node * 11) % 700), 0] for name in ("positive", "negative", "latent_image")},
                "seed": node,
            },
        }
        for node in range(700)
    }
    graph = Graph(workflow)

    inspection = inspect_graph(graph)

    assert "too_complex" in [problem.code for problem in inspection.problems]
    assert graph.steps < MAX_STEPS + 200


def test_many_equal_nodes_give_a_short_answer() -> None:
    """Thousands of loaders, texts and samplers do not make the answer longer than the workflow."""
    lines = [f"s{i} | KSampler | seed={i} positive=@t{i}.0 latent_image=@l{i}.0" for i in range(2000)]
    lines += [f't{i} | CLIPTextEncode | text="{i}"' for i in range(2000)]
    lines += [f"l{i} | EmptyLatentImage | width=64 height=64 batch_size=1" for i in range(2000)]
    lines += [f"o{i} | SaveImage | images=@s{i}.0" for i in range(2000)]
    workflow = parse_nodes(lines)

    inspection = inspect_workflow(workflow)

    assert len(str(inspection)) < len(json.dumps(workflow))


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_proposed_maps_fit_their_workflows(sample: Sample) -> None:
    """The proposals for every sample can be stored as its node map."""
    assert_fits(inspect_workflow(sample.workflow), sample.workflow)


def assert_fits(inspection: Inspection, workflow: Workflow) -> None:
    """Check that the proposals and their alternatives can be a node map of the workflow."""
    entries = [(node.type, node.key, node.node_ids) for node in inspection.nodes]
    entries += [(node.type, other.key, other.node_ids) for node in inspection.nodes for other in node.alternatives]
    for type_, key, node_ids in entries:
        node = WorkflowNode(type=type_, key=key, node_ids=list(node_ids))
        assert node_ids
        assert set(node_ids) <= workflow.keys()
        assert missing_input(workflow, [node]) is None
        linked = [value for id_ in node_ids if isinstance(value := workflow[id_]["inputs"].get(key), list)]
        assert not linked or type_ == "output"
    assert len({(node.type, node.key) for node in inspection.nodes}) == len(inspection.nodes)


def chain(nodes: int) -> Workflow:
    """Return a workflow whose conditioning and model go through many nodes."""
    lines = ['text | CLIPTextEncode | text="x"', 'load | CheckpointLoaderSimple | ckpt_name="a"']
    lines += ["c0 | FluxGuidance | conditioning=@text.0", "m0 | LoraLoaderModelOnly | model=@load.0"]
    for number in range(1, nodes // 2):
        lines += [f"c{number} | FluxGuidance | conditioning=@c{number - 1}.0"]
        lines += [f"m{number} | LoraLoaderModelOnly | model=@m{number - 1}.0"]
    last = nodes // 2 - 1
    lines += [f"s | KSampler | seed=1 steps=2 model=@m{last}.0 positive=@c{last}.0 latent_image=@e.0"]
    lines += ["e | EmptyLatentImage | width=64 height=64 batch_size=1", "o | SaveImage | images=@s.0"]
    return parse_nodes(lines)
