"""Reads a workflow from what an operator has at hand. What can be repaired is repaired, and reported."""

import json
from dataclasses import dataclass
from typing import Any

from image_gateway.engines.comfyui.inspection.findings import Problem
from image_gateway.models.fields import valid_json
from image_gateway.models.workflow import BYTE_ORDER_MARK, Workflow

_EXPORT = "export it in ComfyUI with Workflow > Export (API)"
MAX_NAME = 200
"""Longest id, class and input name of a node. ComfyUI's and its extensions' are much shorter."""

_MAX_INVALID_NODES = 10
"""How many invalid nodes are reported one by one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A workflow in the API's format, and what was wrong with the text. `workflow` is None if nothing can be used."""

    workflow: Workflow | None
    problems: tuple[Problem, ...]


def read_workflow(given: str | dict[str, Any]) -> Reading:
    """Read a workflow from text or from an object."""
    problems: list[Problem] = []
    if isinstance(given, str) and given.startswith(BYTE_ORDER_MARK):
        problems.append(Problem("bom", "The text began with a byte order mark, which was removed."))
    try:
        value = json.loads(given.removeprefix(BYTE_ORDER_MARK)) if isinstance(given, str) else given
        value = valid_json(value)
    except (ValueError, RecursionError) as error:
        detail = f"The workflow is not JSON ({_reason(error)}): send the file's content unchanged, or {_EXPORT}."
        return Reading(None, (*problems, Problem("not_json", detail)))
    value = _unwrapped(value, problems)
    if isinstance(value, dict) and isinstance(value.get("nodes"), list):
        detail = f"The workflow is in the format in which the editor saves it: {_EXPORT}."
        return Reading(None, (*problems, Problem("editor_format", detail)))
    if not isinstance(value, dict) or not value:
        detail = f"This is no workflow in the API's format, node id → {{class_type, inputs}}: {_EXPORT}."
        return Reading(None, (*problems, Problem("not_workflow", detail)))
    return _checked(value, problems)


def _unwrapped(value: Any, problems: list[Problem]) -> Any:
    """Return the workflow in the body of a request to ComfyUI's `/prompt`, or in the metadata of an image."""
    inner = value.get("prompt") if isinstance(value, dict) and "class_type" not in value else None
    if not isinstance(inner, dict) or not inner or not all(map(_is_node, inner.values())):
        return value
    detail = "The workflow was taken from the field prompt: store only its value as the workflow."
    problems.append(Problem("wrapped", detail))
    return inner


def _checked(value: dict[str, Any], problems: list[Problem]) -> Reading:
    workflow = {node_id: node for node_id, node in value.items() if _is_node(node) and _is_short(node_id, node)}
    invalid = [node_id for node_id in value if node_id not in workflow]
    if not workflow:
        detail = f"No node of this workflow has a class_type and inputs: {_EXPORT}."
        return Reading(None, (*problems, Problem("not_workflow", detail)))
    for node_id in invalid[:_MAX_INVALID_NODES]:
        lack = "a name that is too long" if _is_node(value[node_id]) else "no class_type or no inputs"
        detail = f"Node {node_id[:MAX_NAME]} has {lack}: remove it, because ComfyUI cannot run it."
        problems.append(Problem("invalid_node", detail, node_id[:MAX_NAME]))
    return Reading(workflow, tuple(problems))


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)


def _is_short(node_id: str, node: dict[str, Any]) -> bool:
    return max(map(len, (node_id, node["class_type"], *node["inputs"]))) <= MAX_NAME


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else "it is nested too deeply"
