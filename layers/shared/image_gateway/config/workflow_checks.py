"""Checks of ComfyUI workflows and node maps when they are stored, so that not the first caller finds a mistake."""

from image_gateway.errors import InvalidRequest
from image_gateway.models.config import ImagesConfig
from image_gateway.models.workflow import missing_input, parse_workflow
from image_gateway.models.workflow_outputs import choice_problem, other_outputs, output_problem

_PREFIXES = ("COMFYUI", "IMAGES_EDIT_COMFYUI")


def check_node_maps(current: ImagesConfig, changed: ImagesConfig) -> None:
    """Check that every input that a node map names is an input of its node. Maps that do not change are not checked.

    Raises:
        InvalidRequest: a node has no such input; `field` is the node map's field.
    """
    for workflow_field, nodes_field in _fields():
        workflow, nodes = getattr(changed, workflow_field), getattr(changed, nodes_field)
        is_same = (workflow, nodes) == (getattr(current, workflow_field), getattr(current, nodes_field))
        if is_same or not workflow.strip():
            continue
        if problem := missing_input(parse_workflow(workflow), nodes):
            raise InvalidRequest(f"{nodes_field} {problem}", field=nodes_field)


def workflow_warnings(config: ImagesConfig, changes: ImagesConfig) -> list[str]:
    """Return what will not work as one may expect, for the workflows and node maps that `changes` sets."""
    return [
        warning
        for workflow_field, nodes_field in _fields()
        if changes.model_fields_set & {workflow_field, nodes_field} and getattr(config, workflow_field).strip()
        for warning in _warnings(config, workflow_field, nodes_field)
    ]


def _warnings(config: ImagesConfig, workflow_field: str, nodes_field: str) -> list[str]:
    workflow = parse_workflow(getattr(config, workflow_field))
    if problem := output_problem(workflow):
        warnings = [f"{workflow_field} {problem}"]
    else:
        left_out = "which is no image and is left out"
        warnings = [f"{workflow_field}: {other}, {left_out}" for other in other_outputs(workflow)]
    chosen = [id_ for node in getattr(config, nodes_field) if node.type == "output" for id_ in node.node_ids]
    if problem := choice_problem(workflow, chosen):
        warnings.append(f"{nodes_field} {problem}")
    taken = {node.type for node in getattr(config, nodes_field) if node.node_ids}
    if "prompt" not in taken:
        warnings.append(f"{nodes_field} names no node of type prompt: every prompt will be ignored")
    if workflow_field.startswith("IMAGES_EDIT") and "image" not in taken:
        warnings.append(f"{nodes_field} names no node of type image: every edit will be refused")
    return warnings


def _fields() -> list[tuple[str, str]]:
    return [(f"{prefix}_WORKFLOW", f"{prefix}_WORKFLOW_NODES") for prefix in _PREFIXES]
