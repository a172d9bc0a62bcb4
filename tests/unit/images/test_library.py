"""Images and uploads of a deployment as inputs, against moto's server."""

from collections.abc import Callable
from urllib.parse import quote

import boto3
import httpx
import pytest

from image_gateway.access.principals import Principal, Role
from image_gateway.aws import Aws
from image_gateway.errors import NotFound, StorageUnavailable, TooLarge
from image_gateway.ids import new_job_id
from image_gateway.images.library import ImageLibrary
from image_gateway.images.store import ImageStore
from image_gateway.jobs.store import JobStore
from image_gateway.models.forms import UploadForm
from image_gateway.models.jobs import Job, JobImage
from image_gateway.net.public_fetch import MAX_BYTES
from image_gateway.settings import Settings
from sandbox.embedded_aws import EmbeddedAws

pytestmark = pytest.mark.anyio

OWNER = Principal("1", "owner", Role.USER)
STRANGER = Principal("2", "stranger", Role.USER)
ADMIN = Principal("3", "admin", Role.ADMIN)
JOB = "018f2b6e-7a10-7c3d-9a2b-0123456789ab"
IMAGE = f"images/2026/11/22/{JOB}/3.png"


@pytest.fixture
def images(settings: Settings, aws: Aws) -> ImageLibrary:
    return ImageLibrary(aws, settings, JobStore(aws, settings))


def on_aws(monkeypatch: pytest.MonkeyPatch, settings: Settings, aws: Aws) -> ImageLibrary:
    """The store as it is on AWS itself, in a newer region."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-central-2")
    return ImageLibrary(aws, settings, JobStore(aws, settings))


def put(settings: Settings, key: str, data: bytes) -> None:
    boto3.client("s3").put_object(Bucket=settings.bucket, Key=key, Body=data)


async def stored(settings: Settings, aws: Aws, *, numbers: tuple[int, ...] = (0,)) -> str:
    """A job of `OWNER` with images of these numbers; gives its id."""
    job = Job(id=new_job_id(), kind="generation", owner=OWNER.owner)
    for number in numbers:
        key = f"images/2026/11/22/{job.id}/{number}.png"
        put(settings, key, f"image {number}".encode())
        job.images.append(JobImage(key=key, content_type="image/png"))
    await JobStore(aws, settings).create(job)
    return job.id


ADDRESSES = {
    "image": (IMAGE, f"{JOB}-3"),
    "upload": (f"uploads/1/{JOB}", f"upload-{JOB}"),
    "percent-encoded": (IMAGE.replace("3.png", "%33%2Epng"), f"{JOB}-3"),
}


@pytest.mark.parametrize("kind", ADDRESSES)
@pytest.mark.parametrize("query", ["", "?X-Amz-Signature=abc"])
def test_a_virtual_hosted_address_is_an_id(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str, query: str, aws: Aws
) -> None:
    """On AWS the bucket is the host; the signature is no part of what a URL means."""
    key, reference = ADDRESSES[kind]

    found = on_aws(monkeypatch, settings, aws).reference(
        f"https://{settings.bucket}.s3.eu-central-2.amazonaws.com/{key}{query}"
    )

    assert found == reference


@pytest.mark.parametrize("kind", ADDRESSES)
def test_a_path_style_address_is_an_id(
    settings: Settings, images: ImageLibrary, embedded_url: Callable[[str], str], kind: str
) -> None:
    """In the sandbox the bucket is the first part of the path."""
    key, reference = ADDRESSES[kind]

    assert images.reference(embedded_url(key)) == reference


@pytest.fixture
def embedded_url(settings: Settings, embedded_aws: EmbeddedAws) -> Callable[[str], str]:
    """The address of a key of the bucket on moto's server."""
    return lambda key: f"{embedded_aws.url}/{settings.bucket}/{key}"


def test_a_signed_url_is_its_images_id(settings: Settings, aws: Aws, images: ImageLibrary) -> None:
    """What the gateway answers is what it understands."""
    url = ImageStore(aws, settings).url(IMAGE)[0]

    assert images.reference(url) == f"{JOB}-3"


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/{key}",
        "https://{bucket}.s3.eu-central-2.amazonaws.com.elsewhere.example/{key}",
        "https://{bucket}.s3.eu-central-2.amazonaws.com@elsewhere.example/{key}",
        "https://user@{bucket}.s3.eu-central-2.amazonaws.com/{key}",
        "https://other.s3.eu-central-2.amazonaws.com/{key}",
        "https://s3.eu-central-2.amazonaws.com/{bucket}/{key}",
        "https://{bucket}.s3.eu-central-2.amazonaws.com:8443/{key}",
        "https://[::1/{key}",
        "https://[{bucket}]/{key}",
    ],
)
def test_another_address_is_none_of_ours(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str, aws: Aws
) -> None:
    """What only looks like the bucket, or is no URL at all, is left to the guarded fetch."""
    text = url.replace("{bucket}", settings.bucket).replace("{key}", IMAGE)

    assert on_aws(monkeypatch, settings, aws).reference(text) is None


def test_another_bucket_of_the_same_server_is_none_of_ours(embedded_aws: EmbeddedAws, images: ImageLibrary) -> None:
    """Path-style addresses of other buckets share the host."""
    assert images.reference(f"{embedded_aws.url}/other/{IMAGE}") is None


@pytest.mark.parametrize(
    "key",
    [
        "config/abc.json",
        "",
        "images/",
        f"images/2026/11/22/{JOB}/",
        f"images/2026/11/22/{JOB}/3.png/more",
        f"images/2026/11/22/../{JOB}/3.png",
        f"uploads/{JOB}",
        f"uploads/1/2/{JOB}",
        quote(f"config/x?{IMAGE}", safe=""),
        f"config/../{IMAGE}",
    ],
)
def test_other_objects_of_the_bucket_do_not_exist(
    images: ImageLibrary, embedded_url: Callable[[str], str], key: str
) -> None:
    """The bucket also holds configuration: nothing but images and uploads can be an input."""
    with pytest.raises(NotFound):
        images.reference(embedded_url(key))


@pytest.mark.parametrize("principal", [OWNER, ADMIN], ids=["owner", "admin"])
async def test_an_image_is_read_by_its_id(
    settings: Settings, aws: Aws, images: ImageLibrary, principal: Principal
) -> None:
    """Its owner and an admin get its bytes, each number its own."""
    job_id = await stored(settings, aws, numbers=(0, 2))

    assert await images.read(f"{job_id}-0", principal) == b"image 0"
    assert await images.read(f"{job_id}-2", principal) == b"image 2"


async def test_an_image_is_nobody_elses(settings: Settings, aws: Aws, images: ImageLibrary) -> None:
    """To others it is as one that never was."""
    job_id = await stored(settings, aws)

    assert await images.read(f"{job_id}-0", STRANGER) is None
    assert await images.key(f"{job_id}-0", STRANGER) is None


@pytest.mark.parametrize("image_id", ["{job}-1", "{job}-00", "{job}-", "{job}", f"{JOB}-0"])
async def test_an_unknown_number_or_job_has_no_key(
    settings: Settings, aws: Aws, images: ImageLibrary, image_id: str
) -> None:
    """Only an id that was answered leads to a key."""
    job_id = await stored(settings, aws)

    assert await images.key(image_id.replace("{job}", job_id), OWNER) is None


async def test_an_image_that_has_expired_is_gone(settings: Settings, aws: Aws, images: ImageLibrary) -> None:
    """The job may outlive its images."""
    job_id = await stored(settings, aws)
    boto3.client("s3").delete_object(Bucket=settings.bucket, Key=f"images/2026/11/22/{job_id}/0.png")

    assert await images.key(f"{job_id}-0", OWNER) is not None
    assert await images.read(f"{job_id}-0", OWNER) is None


async def test_an_upload_is_read_by_its_owner_only(images: ImageLibrary) -> None:
    """Not even an admin gets another's upload: its key is made of who asks."""
    upload = images.upload(UploadForm(content_type="image/png", bytes=100), OWNER)
    sent = httpx.post(upload.url, data=upload.fields, files={"file": b"data"})

    assert sent.is_success
    assert await images.read(upload.id, OWNER) == b"data"
    assert await images.read(upload.id, STRANGER) is None
    assert await images.read(upload.id, ADMIN) is None
    assert images.reference(f"{upload.url.rstrip('/')}/{upload.fields['key']}") == upload.id


async def test_uploads_have_keys_that_nobody_can_guess(images: ImageLibrary) -> None:
    """Two uploads of the same form are two files."""
    form = UploadForm(content_type="image/png", bytes=100)

    assert images.upload(form, OWNER).id != images.upload(form, OWNER).id


async def test_an_object_over_the_cap_is_not_read(settings: Settings, images: ImageLibrary) -> None:
    """Its length is looked at before its bytes."""
    put(settings, f"uploads/1/{JOB}", bytes(MAX_BYTES + 1))

    with pytest.raises(TooLarge, match="50 MB"):
        await images.read(f"upload-{JOB}", OWNER)


async def test_a_bucket_that_fails_is_told(settings: Settings, aws: Aws) -> None:
    """What cannot be read now may be readable later: that is no 404."""
    broken = settings.model_copy(update={"bucket": "no-such-bucket"})

    with pytest.raises(StorageUnavailable, match="NoSuchBucket") as caught:
        await ImageLibrary(aws, broken, JobStore(aws, settings)).read(f"upload-{JOB}", OWNER)

    assert caught.value.retry_after == 1
