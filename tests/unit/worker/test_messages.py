"""Queue messages: the jobs and request files that they stand for."""

import json
from datetime import UTC, datetime

import pytest

from image_gateway.batches.request_file import RequestFile
from image_gateway.ids import job_time
from image_gateway.jobs.envelope_parsing import UnreadableRequest
from image_gateway.worker.messages import Message, RequestMessage, read_message

SENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REQUEST = {"kind": "generation", "request": {"prompt": "a fox"}}


def sqs_request(message_id: str, sent_at: datetime = SENT) -> RequestMessage:
    content = read_message(Message(message_id, json.dumps(REQUEST), sent_at), "bucket")
    assert isinstance(content, RequestMessage)
    return content


def request_file(**fields: str) -> RequestFile:
    """Return the request file of an `Object Created` event whose object has these fields."""
    event = {
        "id": "e1",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-01-02T03:04:05Z",
        "detail": {"bucket": {"name": "bucket"}, "object": {"key": "requests/a.jsonl", **fields}},
    }
    content = read_message(Message("m1", json.dumps(event), SENT), "bucket")
    assert isinstance(content, RequestFile)
    return content


def test_a_redelivered_message_has_the_same_job_id() -> None:
    """The job's id is derived from the message's id and the time it was sent."""
    assert sqs_request("m1").job_id == sqs_request("m1").job_id
    assert sqs_request("m1").job_id != sqs_request("m2").job_id
    assert job_time(sqs_request("m1").job_id) == SENT


@pytest.mark.parametrize("field", ["version-id", "sequencer", "etag"])
def test_versions_of_a_request_file_have_different_ids(field: str) -> None:
    """A version is identified by its version id, else by the order of events, else by its content."""
    first, second = request_file(**{field: "1"}), request_file(**{field: "2"})

    assert first.id == request_file(**{field: "1"}).id
    assert len({first.id, second.id, first.job_id(1), first.job_id(2), second.job_id(1)}) == 5


def test_an_event_time_without_a_zone_is_utc() -> None:
    """EventBridge's times are UTC, also if a sender leaves out the zone."""
    event = {"id": "e", "detail-type": "Image Generation Requested", "source": "shop", "time": "2026-01-02T03:04:05"}
    content = read_message(Message("m", json.dumps({**event, "detail": {"prompt": "x"}}), SENT), "bucket")

    assert isinstance(content, RequestMessage)
    assert job_time(content.job_id) == SENT


@pytest.mark.parametrize("job_id", ["", "j", "\ud800", "x" * 3_000, "01a20491-ab0f-7093-a163-39a8e11f4e95\n"])
def test_a_message_with_an_invalid_job_id_is_unreadable(job_id: str) -> None:
    """The table refuses such a key, so the message would be redelivered until it expires."""
    with pytest.raises(UnreadableRequest, match="not a UUID"):
        read_message(Message("m", json.dumps({"job": job_id}), SENT), "bucket")


def test_an_event_source_is_limited_to_256_characters() -> None:
    """EventBridge has the same limit. The owner of the jobs is a key of an index, whose length DynamoDB limits."""
    event = {"id": "e", "detail-type": "Image Generation Requested", "time": "2026-01-02T03:04:05Z"}

    with pytest.raises(UnreadableRequest, match="malformed"):
        read_message(Message("m", json.dumps({**event, "source": "s" * 257, "detail": REQUEST["request"]}), SENT), "b")
