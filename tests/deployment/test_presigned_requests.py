"""Presigned URLs and POST forms, at an S3 that checks signatures, times and policies: moto accepts everything."""

import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest

from image_gateway.aws import Aws, Bucket
from image_gateway.aws.signing import Credentials, Signer
from image_gateway.net.transport import Transport
from tests.deployment.emulator import REGION, MiniStack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("ministack")]

KEY = "images/2026/0.png"
CREDENTIALS = Credentials("test", "test")
FIELDS = {"Content-Type": "image/png"}
CONDITIONS = [FIELDS, ["content-length-range", 1, 9]]


@pytest.fixture(scope="module")
def s3(ministack: MiniStack) -> "S3Client":
    """boto3's client. Not of the default session, which may have the credentials of an earlier test."""
    keys = {"aws_access_key_id": CREDENTIALS.access_key, "aws_secret_access_key": CREDENTIALS.secret_key}
    return boto3.Session(region_name=REGION, **keys).client("s3", endpoint_url=ministack.url)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bucket_name(s3: "S3Client") -> str:
    """The name of a bucket with an image and another object."""
    name = f"presigned-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=name, Key=KEY, Body=b"image")
    s3.put_object(Bucket=name, Key="secret", Body=b"secret")
    return name


@pytest.fixture
async def bucket(
    bucket_name: str, ministack: MiniStack, monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext
) -> AsyncIterator[Bucket]:
    """The bucket, as the gateway uses it."""
    for variable, value in ministack.variables.items():
        monkeypatch.setenv(variable, value)
    async with aclosing(Aws(lambda: Transport(tls, idle_seconds=0))) as aws:
        yield Bucket(aws, bucket_name)


def signed_at(moment: datetime, credentials: Credentials = CREDENTIALS) -> Signer:
    return Signer(credentials, REGION, "s3", moment)


def code(response: httpx.Response) -> str:
    """The code of S3's error."""
    return response.text.partition("<Code>")[2].partition("</Code>")[0]


async def test_a_presigned_url_reads_its_object(bucket: Bucket) -> None:
    """Anybody may read the object, without any header."""
    response = httpx.get(bucket.presigned_url(KEY, 60))

    assert (response.status_code, response.content) == (200, b"image")


async def test_an_object_cannot_be_read_without_a_signature(bucket: Bucket) -> None:
    """The bucket is private."""
    response = httpx.get(bucket.base_url + KEY)

    assert (response.status_code, code(response)) == (403, "AccessDenied")


@pytest.mark.parametrize(("age", "status"), [(59, 200), (61, 403)])
async def test_a_presigned_url_expires(bucket: Bucket, age: int, status: int) -> None:
    """One for 100 minutes works for so long after it was signed, and not longer."""
    signer = signed_at(datetime.now(UTC) - timedelta(minutes=40 + age))

    response = httpx.get(signer.presigned_url(bucket.base_url + KEY, 6000))

    assert response.status_code == status
    assert code(response) == ("AccessDenied" if status == 403 else "")
    assert ("Request has expired" in response.text) is (status == 403)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (KEY, "secret"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604800"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("%2Fs3%2F", "%2Fsqs%2F"),
    ],
    ids=["another object", "a longer time", "another signature", "another service"],
)
async def test_a_changed_presigned_url_is_refused(bucket: Bucket, old: str, new: str) -> None:
    """Nothing of a URL can be changed without the key that signed it."""
    url = bucket.presigned_url(KEY, 60)
    assert old in url

    response = httpx.get(url.replace(old, new))

    assert response.status_code in (400, 403)
    assert code(response)


async def test_a_presigned_url_of_a_forged_key_is_refused(bucket: Bucket) -> None:
    """A signature by another secret is not that of the account."""
    signer = signed_at(datetime.now(UTC), Credentials("test", "guessed"))

    response = httpx.get(signer.presigned_url(bucket.base_url + KEY, 60))

    assert (response.status_code, code(response)) == (403, "SignatureDoesNotMatch")


async def test_a_presigned_url_is_for_reading_only(bucket: Bucket) -> None:
    """The method is signed too."""
    url = bucket.presigned_url(KEY, 60)

    assert httpx.put(url, content=b"other").status_code == 403
    assert httpx.delete(url).status_code == 403
    assert await bucket.get(KEY) == b"image"


def upload(bucket: Bucket, form: dict[str, str], data: bytes = b"12345") -> httpx.Response:
    return httpx.post(bucket.base_url, data=form, files={"file": data})


async def test_a_form_stores_a_file(bucket: Bucket, s3: "S3Client", bucket_name: str) -> None:
    """With the type that it declares."""
    response = upload(bucket, bucket.presigned_post("uploads/1", FIELDS, CONDITIONS, 60))

    assert response.is_success, response.text
    stored = s3.get_object(Bucket=bucket_name, Key="uploads/1")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"12345", "image/png")


@pytest.mark.parametrize(("data", "expected"), [(b"1234567890", "EntityTooLarge"), (b"", "EntityTooSmall")])
async def test_a_form_limits_the_size(bucket: Bucket, data: bytes, expected: str) -> None:
    """A file that is larger than declared, or empty, is refused."""
    response = upload(bucket, bucket.presigned_post("uploads/2", FIELDS, CONDITIONS, 60), data)

    assert (response.status_code, code(response)) == (400, expected)


@pytest.mark.parametrize(("name", "value"), [("key", "images/2026/0.png"), ("Content-Type", "text/html")])
async def test_a_changed_field_of_a_form_is_refused(bucket: Bucket, name: str, value: str) -> None:
    """The policy names the key and the type."""
    form = bucket.presigned_post("uploads/3", FIELDS, CONDITIONS, 60)

    response = upload(bucket, {**form, name: value})

    assert (response.status_code, code(response)) == (403, "AccessDenied")
    assert await bucket.get(KEY) == b"image"


async def test_a_form_expires(bucket: Bucket, bucket_name: str) -> None:
    """After the time that its policy names."""
    moment = datetime.now(UTC) - timedelta(minutes=16)
    target = [{"bucket": bucket_name}, {"key": "uploads/4"}]
    fields = {**FIELDS, "key": "uploads/4"}
    form = signed_at(moment).presigned_post(moment + timedelta(minutes=15), fields, [*CONDITIONS, *target])

    response = upload(bucket, form)

    assert (response.status_code, code(response)) == (403, "AccessDenied")
    assert "expired" in response.text


async def test_a_forged_policy_is_refused(bucket: Bucket) -> None:
    """The policy is what is signed, so a wider one needs the key."""
    form = bucket.presigned_post("uploads/5", FIELDS, CONDITIONS, 60)
    policy = json.loads(base64.b64decode(form["policy"]))
    wider = [item if item != ["content-length-range", 1, 9] else [item[0], 1, 9_000] for item in policy["conditions"]]
    forged = base64.b64encode(json.dumps({**policy, "conditions": wider}).encode()).decode()

    response = upload(bucket, {**form, "policy": forged}, bytes(100))

    assert (response.status_code, code(response)) == (403, "SignatureDoesNotMatch")


async def test_a_form_without_its_policy_is_refused(bucket: Bucket) -> None:
    """It is an anonymous upload then."""
    form = bucket.presigned_post("uploads/6", FIELDS, CONDITIONS, 60)

    response = upload(bucket, {"key": form["key"]})

    assert (response.status_code, code(response)) == (403, "AccessDenied")
