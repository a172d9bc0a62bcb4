"""ComfyUI workflows in API format, and the map of the node inputs that take values of a request."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.fields import valid_json

Workflow: TypeAlias = dict[str, dict[str, Any]]
"""Node id → `{"class_type": …, "inputs": {…}}`."""

NodeType = Literal[
    "model", "prompt", "negative_prompt", "width", "height", "n", "steps", "seed", "image", "mask", "output"
]

MAX_WORKFLOW_BYTES = 1_000_000
"""Longest workflow in bytes (UTF-8). The response with the configuration holds two, and has 6 MB at most."""

BYTE_ORDER_MARK = "\ufeff"
"""Some editors put it before the text of a file."""

_DEFAULT_KEYS = {"prompt": "text", "negative_prompt": "text", "n": "batch_size", "model": "ckpt_name"}


class WorkflowNode(BaseModel):
    """One entry of `COMFYUI_WORKFLOW_NODES`: the node inputs that take one value of a request.

    An entry of type `output` fills no input: it chooses the nodes whose images are the answer.
    `value` is used if the entry has no type, or if neither the request nor the configuration has a value of its type.
    """

    model_config = ConfigDict(extra="allow")

    type: Annotated[NodeType | None, BeforeValidator(lambda value: value or None)] = None
    key: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""
    node_ids: list[Annotated[str, Field(coerce_numbers_to_str=True)]] = []
    value: Any = None

    @model_validator(mode="after")
    def _check_json(self) -> Self:
        valid_json([self.value, self.model_extra])
        return self

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.type is None and self.value is not None and not self.key:
            raise PydanticCustomError(
                "workflow_node", "a node without a type needs a key, the input that takes `value`"
            )
        return self

    @property
    def input_name(self) -> str:
        """Name of the node input to fill: `key`, or the usual input of the type. One of type `output` fills none."""
        if self.type == "output":
            return ""
        return self.key or _DEFAULT_KEYS.get(self.type or "", self.type or "")


def parse_workflow(text: str) -> Workflow:
    """Parse a workflow in ComfyUI's API format.

    Raises:
        ValueError: it is not JSON, or not in API format (the editor's format has `nodes` and `links`).
    """
    try:
        workflow = valid_json(json.loads(text.removeprefix(BYTE_ORDER_MARK)))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"must contain a workflow as JSON: {error}") from None
    if isinstance(workflow, dict) and isinstance(workflow.get("nodes"), list):
        raise ValueError("is in the editor's format; export it with Workflow > Export (API)")
    if not isinstance(workflow, dict) or not workflow:
        raise ValueError("must contain a workflow in ComfyUI's API format: node id → {class_type, inputs}")
    for node_id, node in workflow.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise ValueError(f"node {node_id!r} has no class_type; export it with Workflow > Export (API)")
        if not isinstance(node.get("inputs"), dict):
            raise ValueError(f"node {node_id!r} has no inputs; export it with Workflow > Export (API)")
    return workflow


def _workflow_text(value: object) -> object:
    if isinstance(value, str):
        return value.removeprefix(BYTE_ORDER_MARK)
    return json.dumps(valid_json(value)) if isinstance(value, dict) else value


def _check_workflow(text: str) -> str:
    length = len(text.encode(errors="replace"))
    if length > MAX_WORKFLOW_BYTES:
        raise PydanticCustomError(
            "workflow",
            "must not have more than {limit} bytes; it has {length}",
            {"limit": f"{MAX_WORKFLOW_BYTES:,}", "length": f"{length:,}"},
        )
    if text.strip():
        try:
            parse_workflow(text)
        except ValueError as error:
            raise PydanticCustomError("workflow", "{reason}", {"reason": str(error)}) from None
    return text


WorkflowText = Annotated[str, BeforeValidator(_workflow_text), AfterValidator(_check_workflow)]
"""A workflow in ComfyUI's API format as a JSON string; empty if not set. An object is converted to a string."""


def check_nodes(workflow: str, nodes: list[WorkflowNode]) -> str | None:
    """Return a message with the node ids of `nodes` that the workflow does not have, or None if it has all of them."""
    if not workflow.strip():
        return None
    known = parse_workflow(workflow)
    missing = sorted({node_id for node in nodes for node_id in node.node_ids if node_id not in known})
    return f"names nodes that the workflow does not have: {', '.join(missing)}" if missing else None


def missing_input(workflow: Workflow, nodes: Sequence[WorkflowNode]) -> str | None:
    """Return a message with the first input of `nodes` that its node does not have, or None if all have theirs."""
    for node in nodes:
        for node_id in node.node_ids:
            inputs = workflow[node_id]["inputs"] if node_id in workflow else {}
            if node.input_name and node_id in workflow and node.input_name not in inputs:
                return f"names input {node.input_name!r} of node {node_id}, which has {', '.join(inputs) or 'none'}"
    return None
