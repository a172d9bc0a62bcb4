"""The response of the account's route."""

from typing import Annotated

from pydantic import BaseModel, Field

from image_gateway.models.fields import one_of
from image_gateway.models.limits import LimitState
from image_gateway.models.tokens import RoleName


class Defaults(BaseModel):
    """What the configuration has for requests that name nothing."""

    enabled: bool = Field(description="Whether such requests are accepted.")
    engine: str
    model: str = Field(description="Empty: the engine's own default.")
    size: str | None = Field(description="As in the configuration; null: the engine's own default.")


class Account(BaseModel):
    """Whose token it is, and what it may do."""

    owner: str = Field(description="The owner of the jobs and images that this token makes.")
    name: str = Field(description="The token's name.")
    role: Annotated[str, one_of(RoleName)]
    engines: list[str] | None = Field(description="The engines that the token may use; null: all.")
    models: list[str] | None = Field(description="The models that the token may use; null: all.")
    connections: list[str] | None = Field(None, description="The connections that the token may use; null: all.")
    routes: list[str] | None = Field(
        None, description="The routes that the token may use; null: those that the other limits allow."
    )
    limits: LimitState | None = Field(
        None, description="The limits of the token's requests, and what they leave; null: there are none."
    )
    deployment: str = Field(description="The name of the deployment's stack.")
    version: str = Field(description="The version of the gateway.")
    generation: Defaults
    edit: Defaults
