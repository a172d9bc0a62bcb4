"""A job: one request from its arrival to its images or its error."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.errors import GatewayError

Kind = Literal["generation", "edit"]
Channel = Literal["images", "openai", "sqs", "eventbridge", "s3"]
Status = Literal["queued", "running", "succeeded", "failed", "canceled"]
ResponseFormat = Literal["b64_json", "url"]

FINAL_STATUSES: tuple[Status, ...] = ("succeeded", "failed", "canceled")
"""States that a job never leaves."""


def utc_now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


class JobImage(BaseModel):
    """A stored image of a job: its key, never a URL, and what the bytes say."""

    key: str
    content_type: str
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    revised_prompt: str | None = Field(None, repr=False)
    size: int | None = Field(None, description="In bytes.")

    @property
    def number(self) -> int:
        """Its place among the job's images, from 0."""
        return int(self.key.rpartition("/")[2].partition(".")[0])


class JobError(BaseModel):
    """Why a job failed: what an HTTP answer for it says."""

    status: int
    code: str
    title: str
    detail: str = Field(repr=False)
    field: str | None = None
    retry_after: float | None = None
    may_have_cost: bool = False


class Job(BaseModel):
    """One request and what became of it.

    `request` is the form without its images; `inputs` and `mask` are keys in the bucket, of `input_bytes` together
    where that is known. A queued job with `not_before` is not taken up until then. `batch` and `line` say which line of
    which request file a job is. Times are UTC. A job's `repr` shows neither the prompt, which is in `request`,
    nor what may quote it. A `pinned` job runs on its `engine` with its `model`, whatever the configuration says by
    then. `told` is what the engine told of all images: `quality` and `background`. `response_format` is for the
    OpenAI channel's answer.
    """

    model_config = ConfigDict(validate_assignment=True)

    id: str
    kind: Kind
    owner: str
    channel: Channel = "images"
    status: Status = "queued"
    request: dict[str, Any] = Field(default={}, repr=False)
    inputs: list[str] = []
    mask: str | None = None
    input_bytes: int | None = None
    batch: str | None = None
    line: int | None = None
    engine: str = ""
    model: str = ""
    pinned: bool = False
    response_format: ResponseFormat = "b64_json"
    attempts: int = 0
    not_before: datetime | None = None
    created_at: datetime = Field(default_factory=utc_now)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    images: list[JobImage] = []
    warnings: list[str] = Field([], repr=False)
    usage: dict[str, Any] | None = None
    reported: dict[str, str] = {}
    error: JobError | None = None

    def fail(self, error: GatewayError) -> None:
        """Set the status to `failed`, and record the error."""
        self.status = "failed"
        self.error = JobError(
            status=error.status,
            code=error.code,
            title=error.title,
            detail=error.detail,
            field=error.field,
            retry_after=error.retry_after,
            may_have_cost=error.may_have_cost,
        )

    def to_error(self) -> GatewayError:
        """The recorded error of a failed or canceled job, of the class that its code stands for."""
        known = self.error
        if known is None:
            return GatewayError(f"The job {self.id} was {self.status}")
        kind = _ERRORS.get(known.code, GatewayError)
        return kind(known.detail, field=known.field, retry_after=known.retry_after, may_have_cost=known.may_have_cost)

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in FINAL_STATUSES


def _tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


_ERRORS = {kind.code: kind for kind in reversed(list(_tree(GatewayError)))}
