"""End users: what stands for them, and the response of the route that forgets one."""

import re
from typing import Final

from pydantic import BaseModel, Field

LABEL: Final = re.compile(r"eu-[0-9a-f]{32}")
"""The form of a label that does not show whom it stands for."""


class ForgottenEndUser(BaseModel):
    """What was done to forget an end user."""

    end_user: str = Field(description="The label of the end user.")
    jobs: int = Field(description="Ended jobs that had the label, and have it no longer.")
    open_jobs: int = Field(description="Jobs that have not ended. They lose the label at their end.")
    usage: int = Field(description="Rows of usage that were deleted: one for a day and a token.")
    budgets: int = Field(description="Budgets that were deleted: one for a token.")
    complete: bool = Field(description="Whether nothing is left to do; false: send the request again.")
