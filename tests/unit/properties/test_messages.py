"""Messages and request files: any input is read or unreadable, and a request is the same in each channel."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from functions.worker.records import to_message
from image_gateway.api.owned_resources import JOB_ID
from image_gateway.batches.ingestion import read_lines
from image_gateway.batches.request_file import RequestFile
from image_gateway.errors import InvalidRequest
from image_gateway.ids import derived_job_id, job_time
from image_gateway.jobs.envelope_parsing import UnreadableRequest, parse_line
from image_gateway.models.envelopes import EditEnvelope, GenerationEnvelope
from image_gateway.models.forms import CreateImageForm
from image_gateway.worker.messages import JobMessage, Message, RequestMessage, read_message
from tests.unit.properties.strategies import ANY_JSON, ANY_TEXT

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - as hypothesis wants its bounds
PROMPT = "a-confidential-prompt"


@given(MOMENTS, st.lists(ANY_TEXT.filter(lambda text: text.isprintable()), min_size=1, max_size=3))
def test_a_derived_id_is_a_job_id_of_its_time(moment: datetime, parts: list[str]) -> None:
    """The job id of a message is always the same, has the form of job ids, and contains the message's time."""
    job_id = derived_job_id(moment, *parts)
    assert JOB_ID.fullmatch(job_id)
    assert job_id == derived_job_id(moment, *parts)
    assert abs(job_time(job_id) - moment) < timedelta(milliseconds=2)


KNOWN = st.fixed_dictionaries(
    {},
    optional={
        "job": ANY_JSON,
        "kind": st.sampled_from(["generation", "edit"]) | ANY_JSON,
        "request": st.fixed_dictionaries({"prompt": st.just(PROMPT) | ANY_JSON}, optional={"image": ANY_JSON})
        | ANY_JSON,
        "detail-type": st.sampled_from(["Object Created", "Image Generation Requested"]) | ANY_JSON,
        "source": st.sampled_from(["aws.s3", "shop"]) | ANY_JSON,
        "id": ANY_TEXT,
        "time": st.sampled_from(["2026-01-02T03:04:05Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
        | ANY_JSON,
        "detail": st.fixed_dictionaries(
            {
                "bucket": st.just({"name": "bucket"}),
                "object": st.fixed_dictionaries({"key": st.just("requests/a.json") | ANY_TEXT}),
            }
        )
        | ANY_JSON,
    },
)


@given((KNOWN | ANY_JSON).map(json.dumps) | ANY_TEXT)
@example("[" * 100_000)
@example('{"kind": "generation", "request": {"prompt": "a", "n": 1%s}}' % ("0" * 5_000))
def test_any_message_is_read_or_unreadable(body: str) -> None:
    """A message has a known form, or is unreadable, and its error does not quote it."""
    detail = ""
    with contextlib.suppress(UnreadableRequest):
        found = read_message(Message("m1", body, datetime(2026, 1, 2, tzinfo=UTC)), "bucket")
        assert isinstance(found, JobMessage | RequestMessage | RequestFile)
        if isinstance(found, RequestMessage):
            assert JOB_ID.fullmatch(found.job_id)
            detail = found.envelope.detail if isinstance(found.envelope, InvalidRequest) else ""
    assert PROMPT not in detail


@given((KNOWN | ANY_JSON).map(json.dumps).map(str.encode) | st.binary(max_size=80))
@example(b"[" * 100_000)
@example(b"\xef\xbb\xbf{}")
def test_any_line_is_a_request_or_unreadable(line: bytes) -> None:
    """A line of a request file is a valid request, an invalid request, or unreadable."""
    with contextlib.suppress(UnreadableRequest):
        kind, found = parse_line(line)
        assert kind in {"generation", "edit"}
        assert isinstance(found, GenerationEnvelope | EditEnvelope | InvalidRequest)


@given(
    st.text(min_size=1, max_size=40).filter(str.strip),
    st.integers(1, 10),
    st.none() | st.integers(0, 2**64 - 1),
    MOMENTS,
)
def test_a_request_is_the_same_in_each_channel(prompt: str, n: int, seed: int | None, moment: datetime) -> None:
    """The same request by SQS, by EventBridge and in a line of a file is read as the same form."""
    request = {"prompt": prompt, "n": n, "seed": seed}
    body = json.dumps({"kind": "generation", "request": request})
    event = {
        "id": "e",
        "detail-type": "Image Generation Requested",
        "source": "shop",
        "time": moment.isoformat(),
        "detail": request,
    }
    attributes = {"SentTimestamp": str(int(moment.timestamp() * 1000)), "ApproximateReceiveCount": "1"}
    by_sqs, by_event = (
        read_message(to_message({"messageId": "m", "body": text, "attributes": attributes}), "bucket")
        for text in (body, json.dumps(event, ensure_ascii=False))
    )
    kind, by_line = parse_line(body.encode())

    assert isinstance(by_sqs, RequestMessage)
    assert isinstance(by_event, RequestMessage)
    assert isinstance(by_line, GenerationEnvelope)
    assert kind == by_sqs.kind == by_event.kind == "generation"
    for envelope in (by_sqs.envelope, by_event.envelope, by_line):
        assert isinstance(envelope, GenerationEnvelope)
        assert envelope.request == CreateImageForm(prompt=prompt, n=n, seed=seed)


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8))
def test_lines_are_numbered_as_in_an_editor(lines: list[bytes]) -> None:
    """Lines are numbered from 1, blank lines count but are skipped, and each line is read independently."""
    found = read_lines(b"\n".join(lines), single=False)

    assert [line.number for line in found] == [n for n, text in enumerate(lines, 1) if text.strip()]
    for line in found:
        (alone,) = read_lines(lines[line.number - 1], single=False)
        assert (line.kind, str(line.content)) == (alone.kind, str(alone.content))
