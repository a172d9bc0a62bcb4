"""Messages are read as what they are; the schema says the same."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from image_gateway.batches.request_file import RequestFile
from image_gateway.errors import InvalidRequest
from image_gateway.ids import job_time
from image_gateway.jobs.envelope_parsing import UnreadableRequest, parse_line
from image_gateway.worker.messages import Message, RequestMessage, read_message
from sandbox import envelope_schema

SENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REQUEST = {"kind": "generation", "request": {"prompt": "a fox"}}


def request(message_id: str, sent_at: datetime = SENT) -> RequestMessage:
    found = read_message(Message(message_id, json.dumps(REQUEST), sent_at), "bucket")
    assert isinstance(found, RequestMessage)
    return found


def created(**fields: str) -> RequestFile:
    event = {
        "id": "e1",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "time": "2026-01-02T03:04:05Z",
        "detail": {"bucket": {"name": "bucket"}, "object": {"key": "requests/a.jsonl", **fields}},
    }
    found = read_message(Message("m1", json.dumps(event), SENT), "bucket")
    assert isinstance(found, RequestFile)
    return found


def test_a_message_is_the_same_job_whenever_it_comes() -> None:
    """The job's id comes of the message's id and the time it was sent."""
    assert request("m1").job_id == request("m1").job_id
    assert request("m1").job_id != request("m2").job_id
    assert job_time(request("m1").job_id) == SENT


@pytest.mark.parametrize("field", ["version-id", "sequencer", "etag"])
def test_a_file_is_told_from_its_other_versions(field: str) -> None:
    """By its version, else by the order of events, else by its content."""
    first, second = created(**{field: "1"}), created(**{field: "2"})

    assert first.id == created(**{field: "1"}).id
    assert len({first.id, second.id, first.job_id(1), first.job_id(2), second.job_id(1)}) == 5


def test_a_time_without_zone_is_utc() -> None:
    """EventBridge's times are UTC; whoever leaves the zone out means that too."""
    event = {"id": "e", "detail-type": "Image Generation Requested", "source": "shop", "time": "2026-01-02T03:04:05"}
    found = read_message(Message("m", json.dumps({**event, "detail": {"prompt": "x"}}), SENT), "bucket")

    assert isinstance(found, RequestMessage)
    assert job_time(found.job_id) == SENT


def test_errors_repeat_no_values() -> None:
    """What is wrong is told by field; what was sent stays out of it."""
    _kind, found = parse_line(
        json.dumps({"kind": "edit", "request": {"prompt": "", "image": 7, "n": "planted"}}).encode()
    )

    assert isinstance(found, InvalidRequest)
    assert "(and 2 more)" in found.detail
    assert "planted" not in found.detail


def test_what_is_wrong_with_a_whole_envelope_is_told_too() -> None:
    """An id that is too long is named by its field."""
    _kind, found = parse_line(json.dumps({**REQUEST, "id": "x" * 256}).encode())

    assert isinstance(found, InvalidRequest)
    assert found.field == "id"


def test_a_deep_document_is_unreadable() -> None:
    """A line cannot exhaust the reader."""
    with pytest.raises(UnreadableRequest, match="Not JSON"):
        parse_line(b"[" * 200_000)


def test_the_schema_is_current() -> None:
    """The file in the layer is what the models say."""
    assert envelope_schema.main(["--check"]) == 0


def test_a_schema_that_is_not_current_is_told_and_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` names the command that makes it, which then makes it."""
    monkeypatch.setattr(envelope_schema, "ROOT", tmp_path)
    monkeypatch.setattr(envelope_schema, "TARGET", tmp_path / "envelope.schema.json")

    assert envelope_schema.main(["--check"]) == 1
    assert "python -m sandbox.envelope_schema" in capsys.readouterr().out
    assert envelope_schema.main([]) == 0
    assert envelope_schema.main(["--check"]) == 0
    assert set(envelope_schema.schema()["discriminator"]["mapping"]) == {"generation", "edit"}


@pytest.mark.parametrize("job_id", ["", "j", "\ud800", "x" * 3_000, "01a20491-ab0f-7093-a163-39a8e11f4e95\n"])
def test_what_is_no_job_s_id_is_unreadable(job_id: str) -> None:
    """The table takes no such key, so the message would come back for as long as its queue keeps it."""
    with pytest.raises(UnreadableRequest, match="not a UUID"):
        read_message(Message("m", json.dumps({"job": job_id}), SENT), "bucket")


def test_a_source_is_no_longer_than_eventbridge_has_it() -> None:
    """The owner of its jobs is a key of an index, which DynamoDB limits."""
    event = {"id": "e", "detail-type": "Image Generation Requested", "time": "2026-01-02T03:04:05Z"}

    with pytest.raises(UnreadableRequest, match="malformed"):
        read_message(Message("m", json.dumps({**event, "source": "s" * 257, "detail": REQUEST["request"]}), SENT), "b")
