"""Jobs: requests, from their arrival to their images or their error."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.errors import GatewayError
from image_gateway.models.fields import one_of
from image_gateway.models.money import Basis, Usd, from_micros, to_micros

Kind = Literal["generation", "edit"]
Channel = Literal["images", "openai", "sqs", "eventbridge", "s3"]
Status = Literal["queued", "running", "succeeded", "failed", "canceled"]
ResponseFormat = Literal["b64_json", "url"]

EVENT_CHANNELS: tuple[Channel, ...] = ("sqs", "eventbridge", "s3")
"""The channels of requests that arrive as events."""
KINDS: tuple[str, ...] = get_args(Kind)
OPEN_STATUSES: tuple[Status, ...] = ("queued", "running")
"""The statuses that a worker may change."""
FINAL_STATUSES: tuple[Status, ...] = ("succeeded", "failed", "canceled")
"""The statuses that never change again."""


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class JobImage(BaseModel):
    """A stored image of a job: its key in the bucket, and properties detected from its content."""

    key: str
    content_type: str
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    revised_prompt: str | None = Field(None, repr=False)
    size: int | None = Field(None, description="In bytes.")

    @property
    def number(self) -> int:
        """Position among the job's images, from 0."""
        return int(self.key.rpartition("/")[2].partition(".")[0])


class JobError(BaseModel):
    """Why a job failed: the content of the HTTP response for it."""

    status: int
    code: str
    title: str
    detail: str = Field(repr=False)
    field: str | None = None
    retry_after: float | None = None
    may_have_cost: bool = False
    permanent: bool = False


class JobCost(BaseModel):
    """What a job cost."""

    usd: Usd = Field(description="US dollars, with six decimals; 0 where it is unknown.")
    basis: Annotated[str, one_of(Basis)] = Field(
        description="`usage`: from the tokens that the engine reported; `price`: from a price; `unknown`."
    )


class JobTry(BaseModel):
    """An attempt at one target of a job's route, or a target that was passed over."""

    connection: str = Field(description="The connection.")
    model: str = Field("", description="Its model, or the name of its workflow.")
    code: str = Field("", description="The code of the error; `cooling` or `no_slot`: it was not called; empty: none.")
    milliseconds: int = Field(0, description="How long the attempt took.")


class Job(BaseModel):
    """One request and its outcome.

    A newer version, before a rollback, may have stored fields that this version does not know, and kinds, statuses,
    channels and formats. All of them are kept.

    Times are UTC. The `repr` contains neither the prompt, which is in `request`, nor fields that may quote it.

    Attributes:
        kind: a `Kind`, or one that only a newer version has.
        channel: likewise a `Channel`.
        status: likewise a `Status`.
        request: the form without its images.
        inputs: keys of the input images in the bucket.
        mask: key of the mask in the bucket.
        input_bytes: size of the inputs and the mask together, None where it is unknown.
        batch: id of the batch, for a job of a request file.
        line: its line in the request file.
        pinned: the job runs on its `engine` with its `model`, even if the configuration has changed. A job with a
            route stays at its `target`.
        connection: the connection of the catalogue that the last attempt used; empty: fields of the configuration.
        route: the route that does the job; empty if it names none.
        catalogue: the hash of the catalogue that the job was accepted with, if it has a route or a connection.
        workflow: the named workflow that the last attempt ran; empty: the configured one.
        target: the number of the route's target that the last attempt used, from 0.
        tried: the attempts at the route's targets, of all attempts at the job.
        response_format: likewise a `ResponseFormat`, of the OpenAI channel's response.
        attempts: number of attempts that have started.
        not_before: no worker starts the queued job before this time.
        cost: what it cost; None as long as it is not known.
        uncertain_usd: what it may have cost in addition.
        reserved: millionths of a dollar that are held for it.
        stakes: what of it the images may cost, for each target of a route, else for the only destination.
        estimated: whether that is an estimate, because tokens or seconds are charged.
        prompt_reserved: what is held for the rewriting of the prompt, until that is done.
        charged: what the rewriting and answers without images have cost.
        at_risk: what earlier targets of the route, and a rewriting whose tokens are not known, may have cost.
        periods: what is charged, by the name of each scope that has limits: see `metering.ledger.Reservation`.
        end_user: the label of whom a chat front end said that the job is for.
        settled: whether the costs were charged and the usage was counted.
        announced: whether the event about the end was published; None where only the job's message guarantees it.
        reported: what the engine reported about all images: `quality` and `background`.
    """

    model_config = ConfigDict(validate_assignment=True, extra="allow", hide_input_in_errors=True)

    id: str
    kind: str
    owner: str
    channel: str = "images"
    status: str = "queued"
    request: dict[str, Any] = Field(default={}, repr=False)
    inputs: list[str] = []
    mask: str | None = None
    input_bytes: int | None = None
    batch: str | None = None
    line: int | None = None
    engine: str = ""
    model: str = ""
    pinned: bool = False
    connection: str = ""
    route: str = ""
    catalogue: str = ""
    workflow: str = ""
    target: int | None = None
    tried: list[JobTry] = []
    response_format: str = "b64_json"
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
    cost: JobCost | None = None
    uncertain_usd: Usd | None = None
    reserved: int = 0
    stakes: list[int] = []
    estimated: bool = False
    prompt_reserved: int = 0
    charged: int = 0
    at_risk: int = 0
    periods: dict[str, str] = {}
    end_user: str = Field("", repr=False)
    settled: bool = Field(default=False, exclude=True)
    announced: bool | None = Field(None, exclude=True)

    def fail(self, error: GatewayError) -> None:
        """Set the status to `failed`, and record the error.

        What may have been paid for it is its cost, if its engine has answered, or else what was held.
        """
        uncertain = self.at_risk + (self.at_stake + self.prompt_reserved if error.may_have_cost else 0)
        self.status = "failed"
        self.error = JobError(
            status=error.status,
            code=error.code,
            title=error.title,
            detail=error.detail,
            field=error.field,
            retry_after=error.retry_after,
            may_have_cost=error.may_have_cost,
            permanent=error.permanent,
        )
        basis: Basis = "usage" if self.charged else "unknown" if error.may_have_cost else "price"
        self.cost = JobCost(usd=from_micros(self.charged), basis=basis)
        self.uncertain_usd = from_micros(uncertain) if uncertain else None

    def reopen(self, status: Status) -> None:
        """Take back that an attempt has failed, because the job goes on. What that may have cost stays recorded."""
        self.status, self.error, self.cost = status, None, None

    @property
    def at_stake(self) -> int:
        """What the images of the present attempt cost, or may cost, in millionths of a dollar."""
        if self.cost is not None and self.error is None and self.cost.basis != "unknown":
            return to_micros(self.cost.usd) - self.charged
        number = self.target or 0
        # Records of earlier versions have no stakes.
        return self.stakes[number] if number < len(self.stakes) else 0 if self.stakes else self.reserved

    def to_error(self) -> GatewayError:
        """Return the recorded error of a failed or canceled job, as an instance of the class with its code.

        An error that only a newer version has is a `GatewayError` with its recorded status, code and title.
        """
        error = self.error
        if error is None:
            return GatewayError(f"The job {self.id} was {self.status}")
        error_class = _ERROR_CLASSES.get(error.code, GatewayError)
        recorded = error_class(
            error.detail,
            field=error.field,
            retry_after=error.retry_after,
            may_have_cost=error.may_have_cost,
            permanent=error.permanent,
        )
        if error.code not in _ERROR_CLASSES:
            vars(recorded).update(status=error.status, code=error.code, title=error.title)
        return recorded

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in FINAL_STATUSES

    @property
    def left_to_newer_version(self) -> bool:
        """Whether only a newer version knows the status, so that this one must not run or end the job by itself."""
        return not self.ended and self.status not in OPEN_STATUSES


def _with_subclasses(error_class: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield error_class
    for subclass in error_class.__subclasses__():
        yield from _with_subclasses(subclass)


# Reversed: where a subclass has the code of its base, the base is the one that is kept.
_ERROR_CLASSES = {error_class.code: error_class for error_class in reversed(list(_with_subclasses(GatewayError)))}
