"""Named workflows of ComfyUI in requests and responses."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.models.connection_forms import ManagedBy
from image_gateway.models.fields import one_of
from image_gateway.models.names import WorkflowName
from image_gateway.models.workflow import MAX_WORKFLOW_BYTES, WorkflowNode

EXAMPLE_WORKFLOW: dict[str, Any] = {
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse", "clip": ["4", 1]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
}
_EXAMPLE: dict[str, Any] = {
    "workflow": EXAMPLE_WORKFLOW,
    "nodes": [{"type": "prompt", "key": "text", "node_ids": ["6"]}],
}


class WorkflowForm(BaseModel):
    """A workflow to store."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [_EXAMPLE]})

    workflow: dict[str, Any] | str = Field(
        description="The workflow in ComfyUI's API format, as an object or as the text of its file, of at most "
        f"{MAX_WORKFLOW_BYTES:,} bytes."
    )
    nodes: Annotated[list[WorkflowNode], Field(max_length=1_000)] | None = Field(
        None,
        description="The node map, as `COMFYUI_WORKFLOW_NODES`. If it is left out, what an inspection proposes and is "
        "sure about; refused if it is not sure about prompt, seed, images or mask.",
    )


class WorkflowInfo(BaseModel):
    """A named workflow."""

    model_config = ConfigDict(defer_build=True)

    name: WorkflowName
    workflow: dict[str, Any]
    nodes: list[WorkflowNode]
    managed_by: Annotated[str, one_of(ManagedBy)] = Field(
        "api", description="`config`: it is fields of the configuration, and is changed by `config/update` only."
    )
    warnings: list[str] = Field(
        [], exclude_if=lambda warnings: not warnings, description="What will not work as one may expect."
    )


class WorkflowSummary(BaseModel):
    """A workflow in a list."""

    model_config = ConfigDict(defer_build=True)

    name: WorkflowName
    managed_by: Annotated[str, one_of(ManagedBy)]


class WorkflowList(BaseModel):
    """All workflows by name: those of the configuration's fields first."""

    model_config = ConfigDict(defer_build=True)

    workflows: list[WorkflowSummary]
