"""Reads messages: jobs of our own queue, requests by SQS or EventBridge, and news of request files in the bucket.

Shapes of EventBridge's and S3's events: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from image_gateway.batches.request_file import REQUESTS, RequestFile
from image_gateway.errors import InvalidRequest
from image_gateway.ids import UUID, derived_job_id
from image_gateway.jobs.envelopes import Unreadable, parse_json, parse_kind, read_envelope
from image_gateway.models.envelopes import EditEnvelope, GenerationEnvelope
from image_gateway.models.jobs import Channel, Kind

_DETAIL_TYPES: dict[str, Kind] = {"Image Generation Requested": "generation", "Image Edit Requested": "edit"}
_JOB = re.compile(UUID)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it lay in a queue. `again` says that it was handed out before."""

    id: str
    body: str = field(repr=False)
    sent_at: datetime
    again: bool = False


@dataclass(frozen=True, slots=True)
class JobMessage:
    """Names a job that is in the table."""

    job_id: str


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """Holds a request. `envelope` is the error that it failed with, where it does not validate."""

    job_id: str
    kind: Kind
    owner: str
    channel: Channel
    envelope: GenerationEnvelope | EditEnvelope | InvalidRequest


@dataclass(frozen=True, slots=True)
class Tick:
    """Says that it is time to look for lost jobs."""

    time: datetime


class _Object(BaseModel):
    key: str = Field(min_length=1)
    etag: str = ""
    version_id: str = Field("", alias="version-id")
    sequencer: str = ""


class _Bucket(BaseModel):
    name: str


class _Created(BaseModel):
    bucket: _Bucket
    object: _Object


class _Event(BaseModel):
    """EventBridge's envelope."""

    model_config = ConfigDict(hide_input_in_errors=True)

    id: str = Field(min_length=1)
    detail_type: str = Field(alias="detail-type")
    source: str = Field(min_length=1, max_length=256)
    time: datetime
    detail: dict[str, Any]


def read_message(message: Message, bucket: str) -> JobMessage | RequestMessage | RequestFile | Tick:
    """Tell what a message is.

    Args:
        message: from the queue.
        bucket: whose request files are taken.

    Raises:
        Unreadable: it is nothing that the worker knows.
    """
    body = parse_json(message.body)
    if not isinstance(body, dict):
        raise Unreadable("The message is not a JSON object")
    if isinstance(job_id := body.get("job"), str):
        # Any other text could not be a key of the table, and its message would come back for ever.
        if not _JOB.fullmatch(job_id):
            raise Unreadable("The message names no job: its id is not a UUID")
        return JobMessage(job_id)
    if "detail-type" in body:
        return _event(body, bucket)
    kind = parse_kind(body.get("kind"))
    job_id = derived_job_id(message.sent_at, message.id)
    return RequestMessage(job_id, kind, "event:sqs", "sqs", read_envelope(body))


def _event(body: dict[str, Any], bucket: str) -> RequestMessage | RequestFile | Tick:
    try:
        event = _Event.model_validate(body)
        moment = event.time if event.time.tzinfo else event.time.replace(tzinfo=UTC)
        job_id = derived_job_id(moment, event.source, event.id)
        if event.source == "aws.s3" and event.detail_type == "Object Created":
            return _file(_Created.model_validate(event.detail), moment, bucket)
        if event.source == "aws.events" and event.detail_type == "Scheduled Event":
            return Tick(moment)
    except (ValidationError, ValueError, OverflowError):
        raise Unreadable("The event is not one of EventBridge: a field is missing or malformed") from None
    if event.source.startswith("aws."):
        raise Unreadable("Events of AWS services are no requests, but for Object Created of S3")
    kind = _DETAIL_TYPES.get(event.detail_type)
    if kind is None:
        raise Unreadable(f"The detail-type is not one of: {', '.join(_DETAIL_TYPES)}")
    found = {"kind": kind, **event.detail} if "request" in event.detail else {"kind": kind, "request": event.detail}
    envelope = read_envelope({**found, "kind": kind})
    return RequestMessage(job_id, kind, f"event:{event.source}", "eventbridge", envelope)


def _file(created: _Created, moment: datetime, bucket: str) -> RequestFile:
    found = created.object
    if created.bucket.name != bucket or not found.key.startswith(REQUESTS):
        raise Unreadable(f"Request files are taken from {REQUESTS} in the gateway's own bucket")
    if not found.key.endswith((".json", ".jsonl")):
        raise Unreadable("Request files end with .json or .jsonl")
    identity = (bucket, found.key, found.version_id or found.sequencer or found.etag)
    return RequestFile(found.key, found.etag, found.version_id, moment, identity)
