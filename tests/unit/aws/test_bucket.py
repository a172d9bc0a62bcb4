"""Objects of a bucket, on moto's server, and the URLs of buckets on AWS."""

import base64
import gzip
import json
import os
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from image_gateway.aws import TOO_LARGE, Aws, AwsError, Bucket
from image_gateway.settings import Settings
from tests import web
from tests.aws_clients import aws_client

pytestmark = pytest.mark.anyio

KEYS = ["images/2026/0.png", "a b.json", "grün/日本語.png", "a+b&c=d?e#f%g", "~tilde/-_.!'()*", "a//b", "50%20off"]


@pytest.fixture
def bucket(aws: Aws, settings: Settings) -> Bucket:
    return Bucket(aws, settings.bucket)


def read_with_boto3(settings: Settings, key: str) -> dict[str, Any]:
    """Return boto3's response to `GetObject`."""
    return dict(aws_client("s3").get_object(Bucket=settings.bucket, Key=key))


@pytest.mark.parametrize("key", KEYS)
async def test_a_stored_object_can_be_read(bucket: Bucket, settings: Settings, key: str) -> None:
    """An object has its exact key, content type and metadata, and can be read by the client and by presigned URL."""
    await bucket.put(key, b"bytes", "image/png", {"Engine": "openai", "model": "gr%C3%BCn  [x]"})

    response = read_with_boto3(settings, key)
    assert response["ContentType"] == "image/png"
    assert response["Metadata"] == {"engine": "openai", "model": "gr%C3%BCn  [x]"}
    assert await bucket.get(key) == b"bytes"
    assert web.get(bucket.presigned_url(key, 60)).content == b"bytes"


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, memoryview])
async def test_content_is_stored_unchanged(
    bucket: Bucket, settings: Settings, size: int, kind: Callable[[bytes], Any]
) -> None:
    """Content is stored unchanged, whether it fits into one slice or not, from bytes or a memory view."""
    data = os.urandom(size)

    await bucket.put("data", kind(data), "application/octet-stream")

    assert read_with_boto3(settings, "data")["Body"].read() == data
    assert await bucket.get("data") == data


async def test_a_content_encoding_is_not_decoded(settings: Settings, embedded_aws: object) -> None:
    """An object with a content encoding is returned as stored: decoded, it could fill the memory or be unreadable."""
    compressed = gzip.compress(bytes(1_000_000))
    put = aws_client("s3").put_object
    put(Bucket=settings.bucket, Key="compressed", Body=compressed, ContentEncoding="gzip")
    put(Bucket=settings.bucket, Key="not compressed", Body=b"plain", ContentEncoding="gzip")

    async with aclosing(Aws()) as aws:
        bucket = Bucket(aws, settings.bucket)
        assert await bucket.get("compressed", max_bytes=len(compressed)) == compressed
        assert await bucket.get("not compressed") == b"plain"


async def test_an_object_over_the_limit_is_not_read(bucket: Bucket) -> None:
    """An object of `max_bytes` is read, and one with a byte more is an error."""
    await bucket.put("data", bytes(100), "text/plain")

    assert len(await bucket.get("data", max_bytes=100)) == 100
    with pytest.raises(AwsError) as caught:
        await bucket.get("data", max_bytes=99)
    assert caught.value.code == TOO_LARGE


async def test_a_version_or_an_etag_can_be_required(bucket: Bucket, settings: Settings) -> None:
    """A read can request a version, or fail if the object has another ETag."""
    s3 = aws_client("s3")
    s3.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=settings.bucket, Key="a", Body=b"first")
    second = s3.put_object(Bucket=settings.bucket, Key="a", Body=b"second")

    assert await bucket.get("a", version_id=first["VersionId"]) == b"first"
    assert await bucket.get("a", etag=second["ETag"]) == b"second"
    with pytest.raises(AwsError, match="PreconditionFailed"):
        await bucket.get("a", etag=first["ETag"])


async def test_a_missing_object_or_bucket_is_an_error(bucket: Bucket, aws: Aws) -> None:
    """The error code says whether the object or the bucket does not exist."""
    with pytest.raises(AwsError, match="NoSuchKey"):
        await bucket.get("none")
    with pytest.raises(AwsError, match="NoSuchBucket"):
        await Bucket(aws, "no-such-bucket").put("a", b"", "text/plain")


@pytest.mark.parametrize("key", ["a/../b", "./a", "a/."])
async def test_a_key_with_dots_is_not_normalized(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., str], key: str
) -> None:
    """Keys of S3 are not paths, so a normalized key would name another object."""
    requested: list[bytes] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        requested.append(scope["raw_path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(app))

    await Bucket(aws, "bucket").get(key)

    assert requested == [f"/bucket/{key}".encode()]


async def test_a_presigned_post_equals_boto3s(settings: Settings, bucket: Bucket) -> None:
    """The form has the fields and the policy of boto3's, except for the time, and uploads a file."""
    fields, conditions = {"Content-Type": "image/png"}, [{"Content-Type": "image/png"}, ["content-length-range", 1, 9]]
    post = aws_client("s3").generate_presigned_post(settings.bucket, "uploads/1", dict(fields), list(conditions), 900)

    form = bucket.presigned_post("uploads/1", fields, conditions, 900)

    theirs, ours = (json.loads(base64.b64decode(each["policy"])) for each in (post["fields"], form))
    assert set(form) == set(post["fields"])
    assert ours["conditions"][:4] == theirs["conditions"][:4]
    assert [set(condition) for condition in ours["conditions"]] == [
        set(condition) for condition in theirs["conditions"]
    ]
    response = web.post(bucket.base_url, data=form, files={"file": b"12345"})
    assert response.is_success
    assert read_with_boto3(settings, "uploads/1")["Body"].read() == b"12345"


@pytest.mark.parametrize(
    ("name", "base_url"),
    [
        ("bucket", "https://bucket.s3.us-east-1.amazonaws.com/"),
        ("dotted.bucket", "https://s3.us-east-1.amazonaws.com/dotted.bucket/"),
    ],
)
def test_urls_on_aws_are_regional(aws: Aws, monkeypatch: pytest.MonkeyPatch, name: str, base_url: str) -> None:
    """The bucket is the host, also in the region with a global host, except for names with dots (no certificate)."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert Bucket(aws, name).base_url == base_url
    assert Bucket(aws, name).presigned_url("a b", 60).startswith(f"{base_url}a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
