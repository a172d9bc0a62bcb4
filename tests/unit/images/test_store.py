"""Storage of images in the bucket, against moto's server."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import StorageUnavailable
from image_gateway.ids import job_time, new_job_id
from image_gateway.images.sniff import ImageType
from image_gateway.images.store import ImageStore
from image_gateway.settings import Settings
from tests import web
from tests.aws_clients import aws_client

pytestmark = pytest.mark.anyio

PNG = ImageType("image/png", 1, 1)
SECOND = timedelta(seconds=1)
"""The precision of expiry times."""


def _minute() -> float:
    return 60.0


def test_a_job_id_is_a_uuid_with_the_time_of_its_creation() -> None:
    """Its version is 7, and its variant that of the RFC."""
    before = datetime.now(UTC)
    first, second = uuid.UUID(new_job_id()), uuid.UUID(new_job_id())

    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert first != second
    assert before - timedelta(milliseconds=1) <= job_time(str(first)) <= datetime.now(UTC)


async def test_the_key_of_an_image_has_its_date_and_job(aws: Aws, settings: Settings) -> None:
    """The content type and metadata are as documented. Non-ASCII metadata is percent-encoded."""
    job = new_job_id()
    key = await ImageStore(aws, settings).put(
        job, 0, b"png", PNG, {"engine": "openai", "model": "grün", "job": job}, remaining=_minute
    )

    found = aws_client("s3").get_object(Bucket=settings.bucket, Key=key)

    assert re.fullmatch(rf"images/\d{{4}}/\d\d/\d\d/{job}/0\.png", key)
    assert found["ContentType"] == "image/png"
    assert found["Metadata"] == {"engine": "openai", "model": "gr%C3%BCn", "job": job}


async def test_a_presigned_url_reads_the_image_until_its_expiry(aws: Aws, settings: Settings) -> None:
    """The URL has a SigV4 signature for the documented time."""
    store = ImageStore(aws, settings)
    key = await store.put(new_job_id(), 0, b"png", PNG, {}, remaining=_minute)

    before = datetime.now(UTC)
    url, expires_at = store.url(key)
    after = datetime.now(UTC)

    assert web.get(url).content == b"png"
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["3600"]
    assert before - SECOND <= expires_at - timedelta(hours=1) <= after


def test_on_aws_the_url_is_regional_and_virtual_hosted(
    aws: Aws, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer regions accept no other form."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    url, _ = ImageStore(aws, settings).url("images/2026/11/22/job/0.png")

    assert urlsplit(url).hostname == f"{settings.bucket}.s3.us-east-1.amazonaws.com"


async def test_an_image_that_cannot_be_stored_may_have_cost(aws: Aws, settings: Settings) -> None:
    """The request must not be repeated automatically, because the image has been paid."""
    store = ImageStore(aws, settings.model_copy(update={"bucket": "no-such-bucket"}))

    with pytest.raises(StorageUnavailable, match="NoSuchBucket") as caught:
        await store.put(new_job_id(), 0, b"png", PNG, {}, remaining=_minute)

    assert caught.value.may_have_cost


@pytest.mark.parametrize(
    ("model", "kept"),
    [(" flux ", {"model": "flux"}), (" ", {}), ("\U0001f98a" * 256, {"model": "%F0%9F%A6%8A" * 42 + "%F0%9F%A"})],
    ids=["spaces", "only spaces", "long"],
)
async def test_a_models_name_of_any_form_can_be_stored_as_metadata(
    aws: Aws, settings: Settings, model: str, kept: dict[str, str]
) -> None:
    """HTTP allows no spaces around a header's value, and S3 at most 2 KB of metadata."""
    key = await ImageStore(aws, settings).put(new_job_id(), 0, b"png", PNG, {"model": model}, remaining=_minute)

    assert aws_client("s3").get_object(Bucket=settings.bucket, Key=key)["Metadata"] == kept
