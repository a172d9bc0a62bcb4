"""Limits of a token, of an end user or of the whole deployment."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.models.money import Usd

Period = Literal["day", "month", "total"]
"""When a budget renews: at midnight UTC, on the first of a month UTC, or never."""
MAX_COUNT: Final = 1_000_000


class Budget(BaseModel):
    """How many US dollars may be spent in a period."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    usd: Usd = Field(description='US dollars as text, for example `"25.00"`.')
    period: Period = Field(description="`day` and `month` begin at midnight UTC; `total` never renews.")


class LimitFields(BaseModel):
    """Limits of requests by HTTP. A limit that is absent or null does not exist."""

    model_config = ConfigDict(hide_input_in_errors=True)

    budget: Budget | None = Field(None, description="How much may be spent in a period; null: any amount.")
    requests_per_minute: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = Field(
        None, description="How many generations and edits may begin in a minute of the clock; null: any number."
    )
    max_jobs: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = Field(
        None, description="How many jobs may be queued and running at the same time; null: any number."
    )


class TokenLimitFields(LimitFields):
    """Limits of a token, and what each of its end users may spend."""

    end_user_budget: Budget | None = Field(
        None, description="How much may be spent in a period for each end user that the token names; null: any amount."
    )


class Limits(TokenLimitFields):
    """Limits of a token or of the deployment, which gives its end users no budget."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def is_empty(self) -> bool:
        """Whether there is no limit."""
        return not self.model_dump(exclude_none=True)

    def after(self, changes: LimitFields) -> "Limits":
        """Return the limits with those that are set in `changes`; null removes a limit."""
        changed = changes.model_fields_set & Limits.model_fields.keys()
        return self.model_copy(update={name: getattr(changes, name) for name in changed})


class LimitState(LimitFields):
    """Limits with what they leave at the moment."""

    remaining_usd: Usd | None = Field(None, description="What is left of the budget in this period.")
    open_jobs: int | None = Field(None, description="How many jobs are queued and running.")


class TokenLimitState(TokenLimitFields, LimitState):
    """Limits of a token with what they leave at the moment."""


UnknownPrice = Literal["zero", "refuse"]
"""What becomes of a limited request without a price: it counts as free, or it is refused."""

EventSource = Annotated[str, Field(min_length=1, max_length=256)]
_UNKNOWN_PRICE = "A limited request without a price counts as free (`zero`), or is refused (`refuse`)."


class DeploymentLimitsForm(LimitFields):
    """Limits of the whole deployment, to be stored in place of those before."""

    model_config = ConfigDict(extra="forbid")

    unknown_price: UnknownPrice = Field("zero", description=_UNKNOWN_PRICE)
    events: Annotated[dict[EventSource, Budget], Field(max_length=50)] = Field(
        {}, description="Budgets of requests by event, by their source: `sqs`, `s3`, or EventBridge's `source`."
    )


class DeploymentLimits(LimitState):
    """Limits of the whole deployment, and what they leave."""

    unknown_price: UnknownPrice = Field(description=_UNKNOWN_PRICE)
    events: dict[str, LimitState] = Field(description="Budgets of requests by event, by their source.")
