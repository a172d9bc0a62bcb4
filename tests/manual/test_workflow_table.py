"""The tables about ComfyUI workflows say what the gateway proposes and reports."""

from collections.abc import Iterable
from typing import get_args

from image_gateway.engines.comfyui.inspection import Proposal, inspect_workflow
from image_gateway.engines.comfyui.inspection.findings import ProblemCode
from tests.manual.pages import Page, tables
from tests.workflow_samples import samples

_PAGE = Page.read("docs/comfyui.md")
_COLUMNS = (
    ("prompt",),
    ("negative_prompt",),
    ("width", "height"),
    ("n",),
    ("steps",),
    ("seed",),
    ("model",),
    ("image", "mask"),
    ("output",),
)


def row(name: str, workflow: dict[str, dict[str, object]]) -> list[str]:
    """Return the row of a workflow, as the table has it."""
    nodes = inspect_workflow(workflow).nodes
    return [name, *(_cell(nodes, types) for types in _COLUMNS)]


def test_the_table_has_what_is_proposed_for_each_sample() -> None:
    """Each sample is a row, and each cell is what an inspection proposes today."""
    (found,) = tables(_PAGE.section("What is proposed for which workflow"))

    assert found.rows == [row(sample.name, sample.workflow) for sample in samples()]


def test_the_table_has_all_problems() -> None:
    """Each code of a problem has a row that says what to do."""
    (found,) = tables(_PAGE.section("Problems"))

    assert found.names() == list(get_args(ProblemCode))


def _cell(nodes: Iterable[Proposal], types: tuple[str, ...]) -> str:
    chosen = [node for node in nodes if node.type in types]
    spots = [f"{node_id}.{node.key}".rstrip(".") for node in chosen for node_id in node.node_ids]
    doubt = " ?" if any(not node.sure for node in chosen) else ""
    return f"`{', '.join(spots)}`{doubt}" if spots else ""
