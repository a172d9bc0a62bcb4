"""Bodies of the inspection of a ComfyUI workflow."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.models.names import ConnectionName
from image_gateway.models.workflow import MAX_WORKFLOW_BYTES, NodeType
from image_gateway.models.workflow_forms import EXAMPLE_WORKFLOW


class InspectionForm(BaseModel):
    """A workflow to inspect. What is wrong with it is no error of the request."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"workflow": EXAMPLE_WORKFLOW}]},
    )

    workflow: dict[str, Any] | str = Field(
        description=f"The workflow as an object, or the text of its file, of at most {MAX_WORKFLOW_BYTES:,} bytes."
    )
    connection: ConnectionName | None = Field(
        None,
        description="Compares the workflow with this server of ComfyUI, too. `comfyui` and `comfyui-edit` are those of "
        "the configuration.",
    )


class AlternativeInfo(BaseModel):
    """Other inputs that may be meant."""

    model_config = ConfigDict(defer_build=True)

    key: str
    node_ids: list[str]
    why: str


class ProposalInfo(BaseModel):
    """A proposed entry of a node map. Without `sure`, `why` and `alternatives` it can be stored as one."""

    model_config = ConfigDict(defer_build=True)

    type: NodeType
    key: str = Field(description="The input; empty for an output.")
    node_ids: list[str]
    sure: bool = Field(description="Whether there is no other reading of the workflow.")
    why: str
    alternatives: list[AlternativeInfo]


class ProblemInfo(BaseModel):
    """What is wrong with the workflow."""

    model_config = ConfigDict(defer_build=True)

    code: str
    node_id: str | None = Field(description="The node; null if it is the whole workflow.")
    detail: str = Field(description="What is wrong, and what to do.")


class InspectionInfo(BaseModel):
    """What the gateway understands of a workflow."""

    model_config = ConfigDict(defer_build=True)

    nodes: list[ProposalInfo]
    problems: list[ProblemInfo]
