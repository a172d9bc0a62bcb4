"""What may be given as a workflow, and which problems it has."""

import json

import pytest

from image_gateway.engines.comfyui.inspection import inspect_workflow
from tests.workflow_samples import parse_nodes, sample

WORKFLOW = sample("Stable Diffusion 1.5").workflow


def codes(given: object) -> list[tuple[str, str | None]]:
    """Return code and node of each problem."""
    assert isinstance(given, str | dict)
    return [(problem.code, problem.node_id) for problem in inspect_workflow(given).problems]


def test_text_and_object_give_the_same_answer() -> None:
    """A workflow may be given as an object or as the text of its file."""
    assert inspect_workflow(json.dumps(WORKFLOW)) == inspect_workflow(WORKFLOW)


def test_a_byte_order_mark_is_removed_and_reported() -> None:
    """A file that an editor has saved with a byte order mark is read all the same."""
    inspection = inspect_workflow("\ufeff" + json.dumps(WORKFLOW))

    assert [problem.code for problem in inspection.problems] == ["bom"]
    assert inspection.nodes == inspect_workflow(WORKFLOW).nodes


@pytest.mark.parametrize("text", ["", "{", "Workflow", "{'a': 1}", "[" * 200_000, '{"a": NaN}'])
def test_a_text_that_is_no_json_is_reported(text: str) -> None:
    """The problem says how to export the workflow."""
    inspection = inspect_workflow(text)

    assert [problem.code for problem in inspection.problems] == ["not_json"]
    assert "Export (API)" in inspection.problems[0].detail


def test_the_editors_format_is_reported() -> None:
    """The format in which the editor saves has nodes and links, and cannot be run."""
    assert codes({"nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4}) == [("editor_format", None)]


@pytest.mark.parametrize("given", ["[]", "3", '"x"', "null", "{}", '{"a": 1}', '{"1": {"inputs": {}}}'])
def test_other_json_is_reported(given: str) -> None:
    """JSON in which no node has a class and inputs is no workflow."""
    assert codes(given) == [("not_workflow", None)]


def test_a_workflow_in_the_body_of_a_prompt_is_found() -> None:
    """People have the body of a request to ComfyUI, or an image's metadata: the workflow is taken out of it."""
    inspection = inspect_workflow({"prompt": WORKFLOW, "client_id": "x"})

    assert [problem.code for problem in inspection.problems] == ["wrapped"]
    assert inspection.nodes == inspect_workflow(WORKFLOW).nodes


def test_an_invalid_node_among_others_is_left_out() -> None:
    """A single entry without a class is named, and the others are inspected."""
    given = {**WORKFLOW, "extra": {"ds": 1}, "x" * 300: WORKFLOW["9"]}

    assert codes(given) == [("invalid_node", "extra"), ("invalid_node", "x" * 200)]
    assert inspect_workflow(given).nodes == inspect_workflow(WORKFLOW).nodes


def test_a_link_to_a_missing_node_is_reported() -> None:
    """A node that was removed by hand leaves links behind."""
    given = {node_id: node for node_id, node in WORKFLOW.items() if node_id != "5"}

    assert codes(given) == [("missing_input", "3")]


def test_a_cycle_is_reported_and_nothing_is_sure() -> None:
    """ComfyUI cannot run nodes that depend on each other."""
    loop = ["1 | KSampler | seed=1 steps=2 latent_image=@2.0", "2 | VAEEncode | pixels=@1.0"]
    given = parse_nodes([*loop, "3 | SaveImage | images=@1.0"])
    inspection = inspect_workflow(given)

    assert ("cycle", "1") in codes(given)
    assert not any(node.sure for node in inspection.nodes)
