"""The items of jobs: what they cost, and that nothing of a job is lost in them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_gateway.errors import EngineRateLimited
from image_gateway.ids import new_job_id
from image_gateway.images.sniff import ImageType
from image_gateway.images.store import image_folder
from image_gateway.jobs.job_item import build_item, lease_attributes, parse_item, parse_items
from image_gateway.models.jobs import Job, JobImage
from tests.item_size import item_bytes

MOMENT = datetime(2026, 11, 22, 18, 42, 58, 104_217, UTC)
EXPIRES_AT = 1_800_000_000.0
PROMPT = "A lighthouse in a storm at dusk, seen from the sea, oil on canvas, warm light in its upper windows"
TOKEN = f"token:{new_job_id()}"
USAGE = {
    "input_tokens": 1_023,
    "output_tokens": 4_160,
    "total_tokens": 5_183,
    "input_tokens_details": {"text_tokens": 23, "image_tokens": 1_000},
}
CHANNELS: dict[str, dict[str, Any]] = {
    "images": {"owner": TOKEN, "pinned": True},
    "openai": {"owner": TOKEN, "channel": "openai", "response_format": "url"},
    "edit": {"owner": TOKEN, "kind": "edit"},
    "sqs": {"owner": "event:sqs", "channel": "sqs"},
    "eventbridge": {"owner": "event:com.example.shop.orders", "channel": "eventbridge"},
    "s3": {"owner": "event:s3", "channel": "s3", "batch": new_job_id(), "line": 1_234},
}


def ended_job(**fields: Any) -> Job:
    """Return a usual job of an engine that reports usage: one image, and a prompt of 98 characters."""
    job_id = new_job_id()
    inputs = [f"inputs/{job_id}/0.png", f"inputs/{job_id}/1.png"] if fields.get("kind") == "edit" else []
    image = JobImage(
        key=f"{image_folder(job_id)}0.png", content_type="image/png", width=1536, height=1024, size=2_345_678
    )
    return Job.model_validate(
        {
            "id": job_id,
            "owner": TOKEN,
            "kind": "generation",
            "status": "succeeded",
            "request": {"prompt": PROMPT, "model": "gpt-image-2", "size": "1536x1024", "quality": "high", "n": 1},
            "inputs": inputs,
            "input_bytes": 4_000_000 if inputs else None,
            "engine": "openai",
            "model": "gpt-image-2",
            "attempts": 1,
            "created_at": MOMENT,
            "started_at": MOMENT + timedelta(seconds=1, microseconds=1),
            "finished_at": MOMENT + timedelta(seconds=31, microseconds=999_999),
            "images": [image],
            "usage": USAGE,
            "reported": {"quality": "high", "background": "opaque"},
            "announced": True,
            **fields,
        }
    )


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_usual_job_costs_one_write_unit_each_time(channel: str) -> None:
    """A unit is 1,024 bytes. An ended job leaves room for 200 more, such as those of a longer prompt."""
    ended = ended_job(**CHANNELS[channel])
    running = ended.model_copy(
        update={"status": "running", "images": [], "usage": None, "reported": {}, "finished_at": None}
    )

    assert item_bytes(build_item(ended, EXPIRES_AT)) <= 1_024 - 200
    assert item_bytes(build_item(running, EXPIRES_AT) | lease_attributes("f" * 32, EXPIRES_AT)) <= 1_024 - 200


def test_a_usual_failed_job_costs_one_write_unit() -> None:
    """Its error has a text of usual length."""
    job = ended_job(images=[], usage=None, reported={})
    job.fail(EngineRateLimited("openai answered 429: " + "Rate limit reached for images per minute. " * 5))

    assert item_bytes(build_item(job, EXPIRES_AT)) <= 1_024


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_job_is_read_as_it_was_stored(channel: str) -> None:
    """What is not stored equals the default, or can be derived. Times are exact to the microsecond."""
    running = ended_job(**CHANNELS[channel], not_before=MOMENT)
    running.status = "running"

    assert parse_item(build_item(running, EXPIRES_AT)) == running


def test_an_ended_job_is_stored_without_what_only_another_attempt_would_need() -> None:
    """Everything else is kept."""
    job = ended_job(kind="edit", pinned=True, mask="inputs/x/mask.png", not_before=MOMENT)

    read = parse_item(build_item(job, EXPIRES_AT))

    dropped: dict[str, Any] = {"inputs": [], "input_bytes": None, "mask": None, "not_before": None}
    assert read == job.model_copy(update=dropped)


@pytest.mark.parametrize(
    ("key", "content_type"),
    [
        ("images/2026/11/22/another-job/0.png", "image/png"),
        ("{folder}0.png", "image/jpeg"),
        ("{folder}12.jpg", "image/jpeg"),
        ("{folder}3.avif", "image/avif"),
        ("{folder}0.tiff", "image/tiff"),
    ],
)
def test_keys_and_types_of_images_are_read_as_they_were_stored(key: str, content_type: str) -> None:
    """A key outside the job's folder, and a type that does not follow from the key, are stored in full."""
    job = ended_job()
    job.images[0].key, job.images[0].content_type = key.format(folder=image_folder(job.id)), content_type

    assert parse_item(build_item(job, EXPIRES_AT)) == job


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif", "avif"])
def test_the_type_of_an_image_follows_from_its_key(extension: str) -> None:
    """Of every type that the gateway stores, only the number and the extension of an image are in the item."""
    types = [f"image/{name}" for name in ("png", "jpeg", "webp", "gif", "avif")]
    (content_type,) = [name for name in types if ImageType(name, 1, 1).extension == extension]
    job = ended_job()
    job.images[0].key, job.images[0].content_type = f"{image_folder(job.id)}0.{extension}", content_type

    (stored,) = json.loads(build_item(job, EXPIRES_AT)["job"]["S"])["images"]

    assert stored == {"key": f"0.{extension}", "width": 1536, "height": 1024, "size": 2_345_678}


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_time_is_exact(moment: datetime) -> None:
    """Times are whole microseconds, never fractions of seconds that would be rounded."""
    job = ended_job(created_at=moment, started_at=moment, finished_at=moment)

    read = parse_item(build_item(job, EXPIRES_AT))

    assert (read.created_at, read.started_at, read.finished_at) == (moment, moment, moment)


@pytest.mark.parametrize(
    "change",
    [
        {"job": {"S": "{"}},
        {"job": {"S": "[]"}},
        {"job": {"S": '{"kind": "generation", "created_at": 1e300}'}},
        {"job": {"S": '{"kind": "generation", "created_at": "2026-11-22"}'}},
        {"job": {"S": '{"kind": "generation", "images": [{}]}'}},
        {"job": {"N": "1"}},
        {"attempts": {"N": "many"}},
    ],
    ids=str,
)
def test_an_item_that_cannot_be_read_is_left_out_of_lists(change: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the job, and does not quote it."""
    good, damaged = ended_job(), ended_job()

    read = list(parse_items([build_item(damaged, EXPIRES_AT) | change, build_item(good, EXPIRES_AT)]))

    assert read == [good]
    (record,) = caplog.records
    assert record.job_id == damaged.id  # type: ignore[attr-defined]  # extra
    assert PROMPT not in str(vars(record))
