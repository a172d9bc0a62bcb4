"""Requests in messages and request files: an envelope with the kind of the request and its form."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from image_gateway.models.forms import CreateImageForm, EditImageForm

MAX_ID = 255
"""Longest id of a request, in characters."""

_Id = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=MAX_ID,
        description="Your own id of the request. The same id from the same source within 24 hours is the same job, "
        "unless that job failed at no cost and may succeed now. In a request file, the id is only repeated in the "
        "results.",
    ),
]


class GenerationEnvelope(BaseModel):
    """A generation in a message or a line of a request file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["generation"]
    id: _Id = None
    request: CreateImageForm


class EditEnvelope(BaseModel):
    """An edit in a message or a line of a request file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["edit"]
    id: _Id = None
    request: EditImageForm


Envelope = Annotated[GenerationEnvelope | EditEnvelope, Field(discriminator="kind")]
ENVELOPE: TypeAdapter[GenerationEnvelope | EditEnvelope] = TypeAdapter(Envelope)
