"""A job: one request from its arrival to its pictures or its error."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["generation", "edit"]
Door = Literal["images", "openai", "sqs", "eventbridge", "s3"]
Status = Literal["queued", "running", "succeeded", "failed", "canceled"]

ENDED: tuple[Status, ...] = ("succeeded", "failed", "canceled")
"""States that a job never leaves."""


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


class JobPicture(BaseModel):
    """A stored picture of a job: its key, never a URL, and what the bytes say."""

    key: str
    content_type: str
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    revised_prompt: str | None = None

    @property
    def number(self) -> int:
        """Its place among the job's pictures, from 0."""
        return int(self.key.rpartition("/")[2].partition(".")[0])


class JobError(BaseModel):
    """Why a job failed: what an HTTP answer for it says."""

    status: int
    code: str
    title: str
    detail: str
    field: str | None = None
    retry_after: float | None = None
    may_have_cost: bool = False


class Job(BaseModel):
    """One request and what became of it.

    `request` is the form without its pictures; `inputs` and `mask` are keys in the bucket. `batch` and `line` say which
    line of which request file a job is. Times are UTC. The prompt is in `request`, so a job's `repr` does not show it.
    """

    model_config = ConfigDict(validate_assignment=True)

    id: str
    kind: Kind
    owner: str
    door: Door = "images"
    status: Status = "queued"
    request: dict[str, Any] = Field(default={}, repr=False)
    inputs: list[str] = []
    mask: str | None = None
    batch: str | None = None
    line: int | None = None
    engine: str = ""
    model: str = ""
    attempts: int = 0
    created_at: datetime = Field(default_factory=now)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    pictures: list[JobPicture] = []
    warnings: list[str] = []
    usage: dict[str, Any] | None = None
    error: JobError | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED
