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


class Limits(BaseModel):
    """Limits of requests by HTTP. A limit that is absent or null does not exist."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)

    budget: Budget | None = Field(None, description="How much may be spent in a period.")
    requests_per_minute: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = Field(
        None, description="How many generations and edits may begin in a minute of the clock."
    )
    max_jobs: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = Field(
        None, description="How many jobs may be queued and running at the same time."
    )

    @property
    def is_empty(self) -> bool:
        """Whether there is no limit."""
        return self == Limits()


class LimitState(Limits):
    """Limits with what they leave at the moment."""

    remaining_usd: Usd | None = Field(None, description="What is left of the budget in this period.")
    open_jobs: int = Field(0, description="How many jobs are queued and running.")
