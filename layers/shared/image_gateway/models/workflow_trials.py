"""The body of a trial of a workflow."""

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.models.forms import Prompt
from image_gateway.models.names import ConnectionName


class TrialForm(BaseModel):
    """A trial of a workflow."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"connection": "comfyui", "prompt": "a lighthouse in a storm"}]},
    )

    connection: ConnectionName = Field("comfyui", description="The connection of ComfyUI whose server runs it.")
    prompt: Prompt = Field(description="What the image should show.")
