"""An image gateway on Lambda as it is usually built, which the gateway is compared with.

It represents what a good team would write in a week from the documentation of FastAPI ("First Steps", "Bigger
Applications", "Security"), Mangum, HTTPX and boto3, and from AWS's best practices for Lambda: one function with all
routes, clients created outside of the handler so that invocations share them, pydantic models for requests and
responses, `def` endpoints because boto3 blocks, presigned URLs, and configuration and tokens cached as long as in the
gateway. Each request reads and writes the same data as in the gateway: token, configuration, the job before and after,
the image, the event. It supports one engine and handles none of an engine's special errors.
"""

import base64
import hashlib
import json
import os
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import boto3
import httpx
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from mangum import Mangum
from pydantic import BaseModel, Field

TABLE = os.environ["TABLE"]
BUCKET = os.environ["BUCKET"]
CONFIG_PARAMETER = os.environ["CONFIG_PARAMETER"]
EVENT_BUS = os.environ.get("EVENT_BUS", "default")
URL_EXPIRY_SECONDS = 3600
CONFIG_SECONDS = 30
TOKEN_SECONDS = 60

ssm = boto3.client("ssm")
dynamodb = boto3.client("dynamodb")
s3 = boto3.client("s3")
events = boto3.client("events")
engine = httpx.Client(timeout=60)

app = FastAPI(title="image gateway")
bearer = HTTPBearer()


class Config(BaseModel):
    """The operator's configuration."""

    ENABLE_IMAGE_GENERATION: bool = False
    IMAGE_GENERATION_MODEL: str = "gpt-image-1"
    IMAGE_SIZE: str = "1024x1024"
    IMAGES_OPENAI_API_BASE_URL: str = "https://api.openai.com/v1"
    IMAGES_OPENAI_API_KEY: str = ""


class Caller(BaseModel):
    """The principal of a token."""

    id: str
    name: str
    role: Literal["user", "admin"]


class CreateImageForm(BaseModel):
    """The request for a generation."""

    prompt: str = Field(min_length=1, max_length=32_000)
    model: str | None = None
    size: str | None = None
    n: int = Field(1, ge=1, le=10)


class ImageInfo(BaseModel):
    """A stored image."""

    id: str
    url: str
    content_type: str = "image/png"


class Job(BaseModel):
    """A request and its outcome."""

    id: str
    owner: str
    status: Literal["running", "succeeded", "failed"] = "running"
    request: dict[str, Any] = {}
    keys: list[str] = []
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None


class JobInfo(BaseModel):
    """A job in a response."""

    id: str
    status: str
    created_at: datetime
    finished_at: datetime | None
    images: list[ImageInfo]


_config: tuple[float, Config] | None = None
_callers: dict[str, tuple[float, Caller]] = {}


def current_config() -> Config:
    """Return the configuration, which is cached for 30 s."""
    global _config  # noqa: PLW0603 - as it is usually written
    if _config is None or time.monotonic() - _config[0] > CONFIG_SECONDS:
        found = ssm.get_parameter(Name=CONFIG_PARAMETER, WithDecryption=True)
        _config = time.monotonic(), Config.model_validate_json(found["Parameter"]["Value"])
    return _config[1]


def current_caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> Caller:
    """Return the principal of the request's token, which is cached for 60 s."""
    digest = hashlib.sha256(credentials.credentials.encode()).hexdigest()
    known = _callers.get(digest)
    if known is None or time.monotonic() - known[0] > TOKEN_SECONDS:
        item = dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": f"token#{digest}"}}).get("Item")
        if item is None:
            raise HTTPException(401, "The token is not valid")
        caller = Caller(id=item["token_id"]["S"], name=item["name"]["S"], role=item["role"]["S"])
        known = _callers[digest] = time.monotonic(), caller
    return known[1]


def current_admin(caller: Annotated[Caller, Depends(current_caller)]) -> Caller:
    """Return the principal of the request's token if it is an administrator."""
    if caller.role != "admin":
        raise HTTPException(403, "This needs a token of an administrator")
    return caller


ConfigDep = Annotated[Config, Depends(current_config)]
CallerDep = Annotated[Caller, Depends(current_caller)]
AdminDep = Annotated[Caller, Depends(current_admin)]


@app.get("/health")
def health() -> dict[str, str]:
    """Report that the function works."""
    return {"status": "ok"}


@app.get("/api/v1/images/config")
def read_config(_admin: AdminDep, config: ConfigDep) -> Config:
    """Return the configuration without its secret."""
    return config.model_copy(update={"IMAGES_OPENAI_API_KEY": "********" if config.IMAGES_OPENAI_API_KEY else ""})


@app.post("/api/v1/images/config/update")
def update_config(changes: Config, _admin: AdminDep, config: ConfigDep) -> Config:
    """Replace the fields that are set in `changes`."""
    global _config  # noqa: PLW0603 - as it is usually written
    updated = config.model_copy(update=changes.model_dump(exclude_unset=True))
    ssm.put_parameter(Name=CONFIG_PARAMETER, Value=updated.model_dump_json(), Type="SecureString", Overwrite=True)
    _config = None
    return updated


@app.post("/api/v1/images/generations")
def generate(form: CreateImageForm, caller: CallerDep, config: ConfigDep) -> list[ImageInfo]:
    """Generate images, store them and return their URLs."""
    if not config.ENABLE_IMAGE_GENERATION:
        raise HTTPException(403, "Image generation is switched off")
    job = Job(id=str(uuid.uuid4()), owner=caller.id, request=form.model_dump(exclude_none=True))
    save(job)
    answer = engine.post(
        f"{config.IMAGES_OPENAI_API_BASE_URL}/images/generations",
        headers={"Authorization": f"Bearer {config.IMAGES_OPENAI_API_KEY}"},
        json={
            "prompt": form.prompt,
            "model": form.model or config.IMAGE_GENERATION_MODEL,
            "size": form.size or config.IMAGE_SIZE,
            "n": form.n,
        },
    )
    if answer.is_error:
        raise HTTPException(502, answer.text)
    for number, item in enumerate(answer.json()["data"]):
        key = f"images/{job.id}/{number}.png"
        data = base64.b64decode(item["b64_json"])
        s3.put_object(Bucket=BUCKET, Key=key, Body=data, ContentType="image/png", Metadata={"job": job.id})
        job.keys.append(key)
    job.status, job.finished_at = "succeeded", datetime.now(UTC)
    save(job)
    detail = json.dumps({"id": job.id, "status": job.status, "keys": job.keys})
    events.put_events(
        Entries=[{"Source": "usual", "DetailType": "Image Job Succeeded", "Detail": detail, "EventBusName": EVENT_BUS}]
    )
    return images(job)


@app.get("/api/v1/images/jobs/{id}")
def read_job(id: str, caller: CallerDep) -> JobInfo:
    """Return a job, with new URLs of its images."""
    item = dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": f"job#{id}"}}).get("Item")
    job = Job.model_validate_json(item["job"]["S"]) if item else None
    if job is None or (job.owner != caller.id and caller.role != "admin"):
        raise HTTPException(404, "No such job")
    return JobInfo(
        id=job.id,
        status=job.status,
        created_at=job.created_at,
        finished_at=job.finished_at,
        images=images(job),
    )


def save(job: Job) -> None:
    """Store the current state of a job."""
    expires = str(int(time.time()) + 30 * 86_400)
    item: Any = {
        "pk": {"S": f"job#{job.id}"},
        "owner": {"S": job.owner},
        "status": {"S": job.status},
        "expires_at": {"N": expires},
        "job": {"S": job.model_dump_json()},
    }
    dynamodb.put_item(TableName=TABLE, Item=item)


def images(job: Job) -> list[ImageInfo]:
    """Return a job's images with new presigned URLs."""
    return [
        ImageInfo(
            id=f"{job.id}-{number}",
            url=s3.generate_presigned_url(
                "get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=URL_EXPIRY_SECONDS
            ),
        )
        for number, key in enumerate(job.keys)
    ]


handler = Mangum(app, lifespan="off")
