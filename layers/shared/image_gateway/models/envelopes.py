"""What a request is by message or file: its kind and its form."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from image_gateway.models.forms import CreateImageForm, EditImageForm

MAX_ID = 255

_Id = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=MAX_ID,
        description="Your own name of the request. Sent again within 24 hours by the same source, it is the same job; "
        "in a request file it is only repeated in the results.",
    ),
]


class GenerationEnvelope(BaseModel):
    """A request for a generation."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["generation"]
    id: _Id = None
    request: CreateImageForm


class EditEnvelope(BaseModel):
    """A request for an edit."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["edit"]
    id: _Id = None
    request: EditImageForm


Envelope = Annotated[GenerationEnvelope | EditEnvelope, Field(discriminator="kind")]
ENVELOPE: TypeAdapter[GenerationEnvelope | EditEnvelope] = TypeAdapter(Envelope)
