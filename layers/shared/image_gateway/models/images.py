"""Response bodies: images, uploads, problem documents, jobs."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.models.fields import one_of
from image_gateway.models.jobs import JobCost, JobTry, Kind, Status
from image_gateway.models.money import Usd


class ModelInfo(BaseModel):
    """A model that the engine offers."""

    id: str
    name: str
    ends_on: date | None = Field(
        None, exclude_if=lambda day: day is None, description="The end that the model's provider has announced."
    )


class ImageInfo(BaseModel):
    """A generated or edited image in the bucket."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://bucket.s3.eu-central-1.amazonaws.com/images/2026/11/22/01a20491-…/0.png?X-Amz-…",
                    "id": "01a20491-ab0f-7093-a163-39a8e11f4e95-0",
                    "name": "01a20491-ab0f-7093-a163-39a8e11f4e95-0.png",
                    "content_type": "image/png",
                    "width": 1024,
                    "height": 1024,
                    "expires_at": "2026-11-22T19:43:05Z",
                }
            ]
        }
    )

    url: str = Field(repr=False, description="Presigned URL, valid until `expires_at`.")
    id: str = Field(description="Stable id: the job's id and the number of the image.")
    name: str = Field(description="A file name.")
    content_type: str = Field(description="Detected from the content, not reported by the engine.")
    width: int | None = Field(None, description="In pixels.")
    height: int | None = Field(None, description="In pixels.")
    expires_at: datetime = Field(description="When `url` expires, UTC.")
    seed: int | None = Field(None, description="The seed, if the engine reports it.")
    revised_prompt: str | None = Field(None, repr=False, description="The prompt that was used, if it was rewritten.")
    warnings: list[str] | None = Field(None, repr=False, description="What was not done as requested.")


class ImageDownload(BaseModel):
    """Where a browser saves an image from."""

    url: str = Field(repr=False, description="Presigned URL. The image comes as a file with a name.")
    expires_at: datetime = Field(description="When `url` expires, UTC.")


class Upload(BaseModel):
    """Where to upload an input image: a form POST of `fields`, followed by the file as the part `file`."""

    id: str = Field(description="Names the file in edits of its owner, for one day.")
    url: str = Field(description="The URL to POST the form to.")
    fields: dict[str, str] = Field(repr=False, description="Form fields to send before the file.")
    expires_at: datetime = Field(description="Until when the file can be uploaded, UTC.")


class Problem(BaseModel):
    """An RFC 9457 problem document (`application/problem+json`)."""

    model_config = ConfigDict(
        # Most invocations need none, so a cold start does not build it.
        defer_build=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "The size cannot be used",
                    "status": 400,
                    "detail": "size: must be WIDTHxHEIGHT, for example 1024x1024, or auto; got 'big'",
                    "code": "invalid_size",
                    "request_id": "5c998faa4cfb48c3",
                    "field": "size",
                }
            ]
        },
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(repr=False)
    code: str
    request_id: str
    field: str | None = None
    errors: list[dict[str, Any]] | None = Field(None, repr=False)


class JobProblem(BaseModel):
    """Why a job has no images: the error that its result route returns."""

    code: str
    title: str
    status: int
    detail: str = Field(repr=False)


class JobInfo(BaseModel):
    """A job: one request and its outcome. Times are UTC."""

    id: str
    kind: Annotated[str, one_of(Kind)]
    status: Annotated[str, one_of(Status)]
    owner: str | None = Field(None, description="Owner of the job; shown to administrators.")
    end_user: str | None = Field(None, description="The label of whom a chat front end said that the job is for.")
    engine: str | None = Field(None, description="The engine of the job.")
    model: str | None = Field(None, description="The engine's name of the model.")
    connection: str | None = Field(None, description="The connection that the last attempt used.")
    route: str | None = Field(None, description="The route that the request named.")
    tried: list[JobTry] = Field(
        [], exclude_if=lambda tried: not tried, description="The attempts at the route's targets, in their order."
    )
    created_at: datetime
    started_at: datetime | None = Field(None, description="Start of the last attempt.")
    finished_at: datetime | None = None
    attempts: int = Field(description="Number of attempts that have started.")
    request: dict[str, Any] | None = Field(
        None, repr=False, description="The request without its images; shown to its owner."
    )
    images: list[ImageInfo] = []
    warnings: list[str] = Field([], repr=False)
    cost: JobCost | None = Field(None, description="What the job cost; absent as long as it is not known.")
    uncertain_usd: Usd | None = Field(
        None, description="US dollars that the job may have cost in addition: for images that it does not have."
    )
    error: JobProblem | None = None


class JobPage(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[JobInfo]
    cursor: str | None = Field(None, description="Send it to get the next page; absent on the last page.")


class Health(BaseModel):
    """The health of the gateway, which is `ok` whenever it responds."""

    status: str = "ok"
