"""Compares a workflow with what a server declares about its classes."""

from collections.abc import Mapping, Sequence
from typing import Final

from image_gateway.engines.comfyui.inspection.findings import Inspection, Problem
from image_gateway.engines.comfyui.node_classes import MismatchCode, NodeInfo, mismatches
from image_gateway.models.workflow import Workflow

_MAX_PROBLEMS: Final = 50
_MAX_TEXT: Final = 500

_REMEDIES: Final[Mapping[MismatchCode, str]] = {
    "unknown_class": "install the extension that has it, or replace the node",
    "missing_input": "export the workflow again from this server",
    "unknown_input": "export the workflow again from this server",
    "missing_model": "choose a file that the server has, or put it there",
    "missing_choice": "choose one of these",
    "out_of_range": "choose a value within the limits",
}


def server_problems(
    workflow: Workflow, inspection: Inspection, classes: Mapping[str, NodeInfo | None]
) -> Sequence[Problem]:
    """Return where a workflow does not match its server. Seeds are not compared: each run has another one."""
    proposed = [(node.type, node_id, node.key) for node in inspection.nodes for node_id in node.node_ids]
    mapped = {(node_id, key) for _, node_id, key in proposed if key}
    seeds = {(node_id, key) for type_, node_id, key in proposed if type_ == "seed"}
    problems = []
    for mismatch in mismatches(workflow, classes, mapped):
        if mismatch.code == "out_of_range" and (mismatch.node_id, mismatch.name) in seeds:
            continue
        detail = f"{mismatch.text[:_MAX_TEXT]}: {_REMEDIES[mismatch.code]}."
        problems.append(Problem(mismatch.code, detail[0].upper() + detail[1:], mismatch.node_id))
        if len(problems) == _MAX_PROBLEMS:
            break
    return problems
