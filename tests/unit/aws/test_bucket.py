"""Objects of a bucket, on moto's server and as AWS would be asked."""

import base64
import gzip
import json
import os
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import boto3
import httpx
import pytest

from image_gateway.aws import TOO_LARGE, Aws, AwsError, Bucket
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio

KEYS = ["images/2026/0.png", "a b.json", "grün/日本語.png", "a+b&c=d?e#f%g", "~tilde/-_.!'()*", "a//b", "50%20off"]


@pytest.fixture
def bucket(aws: Aws, settings: Settings) -> Bucket:
    return Bucket(aws, settings.bucket)


def known(settings: Settings, key: str) -> dict[str, Any]:
    """The object as boto3 sees it."""
    return dict(boto3.client("s3").get_object(Bucket=settings.bucket, Key=key))


@pytest.mark.parametrize("key", KEYS)
async def test_what_is_put_is_there(bucket: Bucket, settings: Settings, key: str) -> None:
    """Under its very key, with its type and metadata; read back, and read by whoever has the URL."""
    await bucket.put(key, b"bytes", "image/png", {"Engine": "openai", "model": "gr%C3%BCn  [x]"})

    found = known(settings, key)
    assert found["ContentType"] == "image/png"
    assert found["Metadata"] == {"engine": "openai", "model": "gr%C3%BCn  [x]"}
    assert await bucket.get(key) == b"bytes"
    assert httpx.get(bucket.presigned_url(key, 60)).content == b"bytes"


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, memoryview])
async def test_all_bytes_arrive(bucket: Bucket, settings: Settings, size: int, kind: Callable[[bytes], Any]) -> None:
    """In one slice or in several, from bytes or from a view."""
    data = os.urandom(size)

    await bucket.put("data", kind(data), "application/octet-stream")

    assert known(settings, "data")["Body"].read() == data
    assert await bucket.get("data") == data


async def test_an_object_is_read_as_it_lies_there(settings: Settings, embedded_aws: object) -> None:
    """Also one whose owner says that it is packed: unpacked, a small one could fill the memory, or not be readable."""
    packed = gzip.compress(bytes(1_000_000))
    put = boto3.client("s3").put_object
    put(Bucket=settings.bucket, Key="packed", Body=packed, ContentEncoding="gzip")
    put(Bucket=settings.bucket, Key="not packed", Body=b"plain", ContentEncoding="gzip")

    async with aclosing(Aws()) as aws:
        bucket = Bucket(aws, settings.bucket)
        assert await bucket.get("packed", max_bytes=len(packed)) == packed
        assert await bucket.get("not packed") == b"plain"


async def test_an_object_may_be_too_large(bucket: Bucket) -> None:
    """As many bytes as may be are read, and not one more."""
    await bucket.put("data", bytes(100), "text/plain")

    assert len(await bucket.get("data", max_bytes=100)) == 100
    with pytest.raises(AwsError) as caught:
        await bucket.get("data", max_bytes=99)
    assert caught.value.code == TOO_LARGE


async def test_a_version_and_an_etag(bucket: Bucket, settings: Settings) -> None:
    """What is asked for is that version, or only what has not changed."""
    s3 = boto3.client("s3")
    s3.put_bucket_versioning(Bucket=settings.bucket, VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket=settings.bucket, Key="a", Body=b"first")
    second = s3.put_object(Bucket=settings.bucket, Key="a", Body=b"second")

    assert await bucket.get("a", version_id=first["VersionId"]) == b"first"
    assert await bucket.get("a", etag=second["ETag"]) == b"second"
    with pytest.raises(AwsError, match="PreconditionFailed"):
        await bucket.get("a", etag=first["ETag"])


async def test_what_is_not_there(bucket: Bucket, aws: Aws) -> None:
    """S3 says which of both it is that is not there."""
    with pytest.raises(AwsError, match="NoSuchKey"):
        await bucket.get("none")
    with pytest.raises(AwsError, match="NoSuchBucket"):
        await Bucket(aws, "no-such-bucket").put("a", b"", "text/plain")


@pytest.mark.parametrize("key", ["a/../b", "./a", "a/."])
async def test_a_key_with_dots_is_sent_as_it_is(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., str], key: str
) -> None:
    """S3's keys are no paths: tidied, they would be other ones."""
    requested: list[bytes] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        requested.append(scope["raw_path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    monkeypatch.setenv("AWS_ENDPOINT_URL", serve(app))

    await Bucket(aws, "bucket").get(key)

    assert requested == [f"/bucket/{key}".encode()]


async def test_a_form_is_boto3s(settings: Settings, bucket: Bucket) -> None:
    """The same fields and, but for the second they were made in, the same policy."""
    fields, conditions = {"Content-Type": "image/png"}, [{"Content-Type": "image/png"}, ["content-length-range", 1, 9]]
    post = boto3.client("s3").generate_presigned_post(settings.bucket, "uploads/1", dict(fields), list(conditions), 900)

    form = bucket.presigned_post("uploads/1", fields, conditions, 900)

    theirs, ours = (json.loads(base64.b64decode(one["policy"])) for one in (post["fields"], form))
    assert set(form) == set(post["fields"])
    assert ours["conditions"][:4] == theirs["conditions"][:4]
    assert [set(one) for one in ours["conditions"]] == [set(one) for one in theirs["conditions"]]
    answer = httpx.post(bucket.base_url, data=form, files={"file": b"12345"})
    assert answer.is_success
    assert known(settings, "uploads/1")["Body"].read() == b"12345"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("bucket", "https://bucket.s3.us-east-1.amazonaws.com/"),
        ("dotted.bucket", "https://s3.us-east-1.amazonaws.com/dotted.bucket/"),
    ],
)
def test_on_aws_the_bucket_is_the_host(aws: Aws, monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
    """Regional, also where there is a global address; a name with dots has no certificate."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert Bucket(aws, name).base_url == address
    assert Bucket(aws, name).presigned_url("a b", 60).startswith(f"{address}a%20b?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
