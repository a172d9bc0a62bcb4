"""Routes: names that callers use as `model`, each with targets that are tried in an order."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from image_gateway.models.config import ModelName
from image_gateway.models.names import ConnectionName, WorkflowName
from image_gateway.models.secret_names import PublicParams
from image_gateway.models.sizes import SizeText

Operation = Literal["generation", "edit"]
Strategy = Literal["ordered", "weighted", "least_busy"]
FreeFailure = Literal["unreachable", "rate_limited", "unavailable", "refused_key", "not_configured", "no_slot"]
"""Failures after which nothing can have been paid."""
CostlyFailure = Literal["rejected", "content_blocked", "failed", "timeout"]
"""Failures after which the next target may be paid for the same image once more."""
Failure = FreeFailure | CostlyFailure


def _in_order(names: list[Any], order: tuple[str, ...]) -> list[Any]:
    """Return names without repetitions, in the order of their declaration."""
    return sorted(set(names), key=order.index)


Operations = Annotated[
    list[Operation], Field(min_length=1), AfterValidator(lambda names: _in_order(names, get_args(Operation)))
]
Failures = Annotated[
    list[Failure],
    AfterValidator(lambda names: _in_order(names, (*get_args(FreeFailure), *get_args(CostlyFailure)))),
]


class StoredTarget(BaseModel):
    """One way to do a route's work: a connection with a model or a workflow, and parameters.

    Fields that a newer version has stored are ignored.
    """

    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    connection: ConnectionName = Field(description="The connection; `openai` and the like are the configuration's.")
    model: ModelName | None = Field(None, description="The model's name there; null: the connection's default.")
    workflow: WorkflowName | None = Field(
        None, description="comfyui: the workflow; null: `default`, and `default-edit` for edits."
    )
    weight: int = Field(1, ge=0, le=1_000, description="weighted: the share of the requests; 0: only as a fallback.")
    params: PublicParams = Field(
        None, description="Extra fields of the request, which override those of the connection. Secrets are refused."
    )
    size: SizeText | None = Field(None, description="Size of requests that name none; null: the configuration's.")
    steps: int | None = Field(
        None, ge=0, le=10_000, description="Steps of requests that name none; null: the configuration's."
    )


class Route(BaseModel):
    """A route of the catalogue. Fields that a newer version has stored are ignored."""

    # Most invocations need none, so a cold start does not build it.
    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    description: str = Field("", max_length=500, description="For people.")
    operations: Operations = Field(["generation", "edit"], description="What the route may be used for.")
    strategy: Strategy = Field(
        "ordered",
        description="`ordered`: the first target that works; `weighted`: one at random by weight, then the others; "
        "`least_busy`: the one whose server has most free slots, then the others.",
    )
    fallback_on: Failures = Field(
        list(get_args(FreeFailure)),
        description="The failures after which the next target is tried. By default those after which nothing can have "
        "been paid. With `rejected`, `content_blocked`, `failed` or `timeout`, an image may be paid twice.",
    )
    targets: Sequence[StoredTarget] = Field(min_length=1)

    def can(self, *, edit: bool) -> bool:
        """Return whether the route may be used for edits, or for generations."""
        return ("edit" if edit else "generation") in self.operations
