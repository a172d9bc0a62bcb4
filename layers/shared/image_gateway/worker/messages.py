"""Reads queue messages: job ids, requests by SQS or EventBridge, and notifications of request files in the bucket.

Shapes of EventBridge's and S3's events: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from image_gateway.batches.request_file import REQUESTS_PREFIX, RequestFile
from image_gateway.errors import InvalidRequest
from image_gateway.ids import UUID, derived_job_id
from image_gateway.jobs.envelope_parsing import UnreadableRequest, parse_envelope, parse_json, parse_kind
from image_gateway.metering.scopes import event_owner
from image_gateway.models.envelopes import EditEnvelope, GenerationEnvelope
from image_gateway.models.jobs import Channel, Kind

_DETAIL_TYPES: dict[str, Kind] = {"Image Generation Requested": "generation", "Image Edit Requested": "edit"}
_JOB_ID = re.compile(UUID)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was in the queue.

    Attributes:
        id: the id that SQS gave it when it was first sent.
        body: its content.
        sent_at: when it was first sent.
        redelivered: whether it was received before.
        group: its message group; None if it has none.
        resent: how often the worker has sent it again.
    """

    id: str
    body: str = field(repr=False)
    sent_at: datetime
    redelivered: bool = False
    group: str | None = None
    resent: int = 0


@dataclass(frozen=True, slots=True)
class JobMessage:
    """The id of a job that is in the table."""

    job_id: str


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A request. `envelope` is the error if the request does not validate."""

    job_id: str
    kind: Kind
    owner: str
    channel: Channel
    envelope: GenerationEnvelope | EditEnvelope | InvalidRequest


@dataclass(frozen=True, slots=True)
class RecoveryMessage:
    """The scheduled event that starts a recovery run. `time` is the scheduled time."""

    time: datetime


class _Object(BaseModel):
    key: str = Field(min_length=1)
    etag: str = ""
    version_id: str = Field("", alias="version-id")
    sequencer: str = ""


class _Bucket(BaseModel):
    name: str


class _ObjectCreated(BaseModel):
    """The detail of S3's `Object Created`."""

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


def read_message(message: Message, bucket: str) -> JobMessage | RequestMessage | RequestFile | RecoveryMessage:
    """Classify a message and parse its body.

    Args:
        message: from the queue.
        bucket: the gateway's bucket; notifications of request files in other buckets are refused.

    Raises:
        UnreadableRequest: the message is of no known kind, or it is malformed.
    """
    body = parse_json(message.body)
    if not isinstance(body, dict):
        raise UnreadableRequest("The message is not a JSON object")
    if isinstance(job_id := body.get("job"), str):
        # Any other text is not a valid key in the table, so that its message would be redelivered until it expires.
        if not _JOB_ID.fullmatch(job_id):
            raise UnreadableRequest("The message names no job: its id is not a UUID")
        return JobMessage(job_id)
    if "detail-type" in body:
        return _read_event(body, bucket)
    kind = parse_kind(body.get("kind"))
    job_id = derived_job_id(message.sent_at, message.id)
    return RequestMessage(job_id, kind, event_owner("sqs"), "sqs", parse_envelope(body))


def owner_of(message: Message, bucket: str) -> str | None:
    """Return the message group of a message, or the owner that its request will have; None if it belongs to nobody."""
    if message.group:
        return message.group
    try:
        content = read_message(message, bucket)
    except UnreadableRequest:
        return None
    return content.owner if isinstance(content, RequestMessage) else None


def _read_event(body: dict[str, Any], bucket: str) -> RequestMessage | RequestFile | RecoveryMessage:
    try:
        event = _Event.model_validate(body)
        # EventBridge's times are in UTC.
        time = event.time if event.time.tzinfo else event.time.replace(tzinfo=UTC)
        job_id = derived_job_id(time, event.source, event.id)
        if event.source == "aws.s3" and event.detail_type == "Object Created":
            return _request_file(_ObjectCreated.model_validate(event.detail), time, bucket)
        if event.source == "aws.events" and event.detail_type == "Scheduled Event":
            return RecoveryMessage(time)
    except (ValidationError, ValueError, OverflowError):
        raise UnreadableRequest("Not an EventBridge event: a field is missing or malformed") from None
    if event.source.startswith("aws."):
        raise UnreadableRequest("Of the events of AWS services, only Object Created of S3 is a request")
    kind = _DETAIL_TYPES.get(event.detail_type)
    if kind is None:
        raise UnreadableRequest(f"The detail-type is not one of: {', '.join(_DETAIL_TYPES)}")
    envelope = event.detail if "request" in event.detail else {"request": event.detail}
    parsed = parse_envelope({**envelope, "kind": kind})
    return RequestMessage(job_id, kind, event_owner(event.source), "eventbridge", parsed)


def _request_file(created: _ObjectCreated, time: datetime, bucket: str) -> RequestFile:
    item = created.object
    if created.bucket.name != bucket or not item.key.startswith(REQUESTS_PREFIX):
        raise UnreadableRequest(f"Request files must be under {REQUESTS_PREFIX} in the gateway's own bucket")
    if not item.key.endswith((".json", ".jsonl")):
        raise UnreadableRequest("The name of a request file must end with .json or .jsonl")
    identity = (bucket, item.key, item.version_id or item.sequencer or item.etag)
    return RequestFile(item.key, item.etag, item.version_id, time, identity)
