"""What callers get."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from image_gateway.models.jobs import Kind, Status


class ModelInfo(BaseModel):
    """A model that the engine offers."""

    id: str
    name: str


class ImageInfo(BaseModel):
    """A generated image in the bucket."""

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

    url: str = Field(repr=False, description="Presigned URL, good until `expires_at`.")
    id: str = Field(description="Stable id: the job's id and the image's number.")
    name: str = Field(description="A file name.")
    content_type: str = Field(description="Told by the bytes, not by the engine.")
    width: int | None = Field(None, description="In pixels.")
    height: int | None = Field(None, description="In pixels.")
    expires_at: datetime = Field(description="When `url` stops working, UTC.")
    seed: int | None = Field(None, description="Where the engine tells.")
    revised_prompt: str | None = Field(None, repr=False, description="Where the prompt was rewritten.")
    warnings: list[str] | None = Field(None, repr=False, description="What was not done as asked.")


class Upload(BaseModel):
    """Where to send an input: a form POST of `fields` and then the file, as the part named `file`."""

    id: str = Field(description="Stands for the file as an input of an edit, for its owner, for a day.")
    url: str = Field(description="Where to POST the form to.")
    fields: dict[str, str] = Field(repr=False, description="Form fields to send before the file.")
    expires_at: datetime = Field(description="Until when it can be sent, UTC.")


class Problem(BaseModel):
    """An RFC 9457 problem document (`application/problem+json`)."""

    model_config = ConfigDict(
        # Most starts are not for one.
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
    """Why a job has no images, as its result answers it."""

    code: str
    title: str
    status: int
    detail: str = Field(repr=False)


class JobInfo(BaseModel):
    """A job: one request and what became of it. Times are UTC."""

    id: str
    kind: Kind
    status: Status
    owner: str | None = Field(None, description="Whose it is; for administrators.")
    engine: str | None = Field(None, description="Which engine it was given to.")
    model: str | None = Field(None, description="As the engine names it.")
    created_at: datetime
    started_at: datetime | None = Field(None, description="When its last attempt began.")
    finished_at: datetime | None = None
    attempts: int = Field(description="How often it was begun.")
    request: dict[str, Any] | None = Field(
        None, repr=False, description="What was asked for, without its images; for its owner."
    )
    images: list[ImageInfo] = []
    warnings: list[str] = Field([], repr=False)
    error: JobProblem | None = None


class JobPage(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobInfo]
    cursor: str | None = Field(None, description="Gives the next page; absent after the last one.")


class Health(BaseModel):
    """Says that the gateway answers."""

    status: str = "ok"
