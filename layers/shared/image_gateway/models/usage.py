"""Usage: what was requested, made and spent."""

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.models.forms import MAX_END_USER
from image_gateway.models.money import Usd

GroupBy = Literal["day", "token", "connection", "model", "end_user"]


class UsageQuery(BaseModel):
    """What a report of usage covers."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    first: date | None = Field(
        None, alias="from", description="The first day, in UTC; by default the first of the last day's month."
    )
    last: date | None = Field(None, alias="to", description="The last day, in UTC; by default today.")
    group_by: str = Field(
        "",
        max_length=100,
        description="What to group by, with commas: `day`, `token`, `connection`, `model`, or `end_user` with `day` "
        "and `token`; by default one row for everything.",
        examples=["day,token"],
    )
    end_user: str = Field(
        "", max_length=MAX_END_USER, description="Only usage of this end user: its label, or the id that was sent."
    )


class UsageRow(BaseModel):
    """Usage of one group. The fields that it is not grouped by are absent."""

    day: date | None = Field(None, description="The day in UTC on which the jobs were accepted.")
    token: str | None = Field(None, description="The id of the token; for requests by event, their owner.")
    token_name: str | None = Field(None, description="The token's name; absent if it was revoked.")
    connection: str | None = Field(None, description="The connection that answered; empty: none did.")
    model: str | None = Field(
        None, description="The model's name at the engine; empty: its default, or the engine refused the request."
    )
    end_user: str | None = Field(None, description="The label of whom a chat front end said that the job was for.")
    requests: int = Field(0, description="Jobs that were accepted, and have ended.")
    images: int = Field(0, description="Images that were made and stored.")
    failures: int = Field(0, description="Jobs that failed or were canceled.")
    usd: Usd = Field(description="What the jobs cost.")
    uncertain_usd: Usd = Field(description="What failed jobs may have cost in addition.")


class Usage(BaseModel):
    """Usage of a range of days."""

    first: date = Field(alias="from", description="The first day, in UTC.")
    last: date = Field(alias="to", description="The last day, in UTC.")
    rows: list[UsageRow]
