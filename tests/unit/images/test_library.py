"""Images and uploads of a deployment as inputs of edits, against moto's server."""

from collections.abc import Callable
from urllib.parse import quote

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
from tests import web
from tests.aws_clients import aws_client

pytestmark = pytest.mark.anyio

OWNER = Principal("1", "owner", Role.USER)
OTHER_OWNER = Principal("2", "other", Role.USER)
ADMIN = Principal("3", "admin", Role.ADMIN)
JOB = "018f2b6e-7a10-7c3d-9a2b-0123456789ab"
IMAGE = f"images/2026/11/22/{JOB}/3.png"


@pytest.fixture
def library(settings: Settings, aws: Aws) -> ImageLibrary:
    return ImageLibrary(aws, settings, JobStore(aws, settings))


def library_on_aws(monkeypatch: pytest.MonkeyPatch, settings: Settings, aws: Aws) -> ImageLibrary:
    """Return a library whose bucket is on AWS itself, in a newer region."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-central-2")
    return ImageLibrary(aws, settings, JobStore(aws, settings))


def put(settings: Settings, key: str, data: bytes) -> None:
    aws_client("s3").put_object(Bucket=settings.bucket, Key=key, Body=data)


async def store_job(settings: Settings, aws: Aws, *, numbers: tuple[int, ...] = (0,)) -> str:
    """Store a job of `OWNER` with images of these numbers, and return its id."""
    job = Job(id=new_job_id(), kind="generation", owner=OWNER.owner)
    for number in numbers:
        key = f"images/2026/11/22/{job.id}/{number}.png"
        put(settings, key, f"image {number}".encode())
        job.images.append(JobImage(key=key, content_type="image/png"))
    await JobStore(aws, settings).create(job)
    return job.id


KEYS_AND_IDS = {
    "image": (IMAGE, f"{JOB}-3"),
    "upload": (f"uploads/1/{JOB}", f"upload-{JOB}"),
    "percent-encoded": (IMAGE.replace("3.png", "%33%2Epng"), f"{JOB}-3"),
}


@pytest.mark.parametrize("kind", KEYS_AND_IDS)
@pytest.mark.parametrize("query", ["", "?X-Amz-Signature=abc"])
def test_the_id_for_a_virtual_hosted_url(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str, query: str, aws: Aws
) -> None:
    """On AWS the bucket is part of the host. The signature is ignored."""
    key, reference = KEYS_AND_IDS[kind]

    found = library_on_aws(monkeypatch, settings, aws).reference(
        f"https://{settings.bucket}.s3.eu-central-2.amazonaws.com/{key}{query}"
    )

    assert found == reference


@pytest.mark.parametrize("kind", KEYS_AND_IDS)
def test_the_id_for_a_path_style_url(
    settings: Settings, library: ImageLibrary, url_of_key: Callable[[str], str], kind: str
) -> None:
    """In the sandbox, the bucket is the first part of the path."""
    key, reference = KEYS_AND_IDS[kind]

    assert library.reference(url_of_key(key)) == reference


@pytest.fixture
def url_of_key(settings: Settings, embedded_aws: EmbeddedAws) -> Callable[[str], str]:
    """Return the URL of a key in the bucket on moto's server."""
    return lambda key: f"{embedded_aws.url}/{settings.bucket}/{key}"


def test_the_id_for_a_presigned_url(settings: Settings, aws: Aws, library: ImageLibrary) -> None:
    """Callers can use the URLs that the gateway returns."""
    url = ImageStore(aws, settings).url(IMAGE)[0]

    assert library.reference(url) == f"{JOB}-3"


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
def test_a_url_outside_the_bucket_has_no_id(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str, aws: Aws
) -> None:
    """URLs that look similar, and malformed URLs, are left to the public fetch."""
    text = url.replace("{bucket}", settings.bucket).replace("{key}", IMAGE)

    assert library_on_aws(monkeypatch, settings, aws).reference(text) is None


def test_a_path_style_url_of_another_bucket_has_no_id(embedded_aws: EmbeddedAws, library: ImageLibrary) -> None:
    """Path-style URLs of other buckets have the same host."""
    assert library.reference(f"{embedded_aws.url}/other/{IMAGE}") is None


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
def test_other_objects_in_the_bucket_are_not_found(
    library: ImageLibrary, url_of_key: Callable[[str], str], key: str
) -> None:
    """The bucket also has the configuration. Only images and uploads can be inputs."""
    with pytest.raises(NotFound):
        library.reference(url_of_key(key))


@pytest.mark.parametrize("principal", [OWNER, ADMIN], ids=["owner", "admin"])
async def test_an_image_is_read_by_its_id(
    settings: Settings, aws: Aws, library: ImageLibrary, principal: Principal
) -> None:
    """Its owner and an administrator can read it. Each number is another image of the job."""
    job_id = await store_job(settings, aws, numbers=(0, 2))

    assert await library.read(f"{job_id}-0", principal) == b"image 0"
    assert await library.read(f"{job_id}-2", principal) == b"image 2"


async def test_an_image_of_another_owner_is_not_found(settings: Settings, aws: Aws, library: ImageLibrary) -> None:
    """The result is the same as for an image that does not exist."""
    job_id = await store_job(settings, aws)

    assert await library.read(f"{job_id}-0", OTHER_OWNER) is None
    assert await library.key(f"{job_id}-0", OTHER_OWNER) is None


@pytest.mark.parametrize("image_id", ["{job}-1", "{job}-00", "{job}-", "{job}", f"{JOB}-0"])
async def test_an_unknown_image_id_has_no_key(
    settings: Settings, aws: Aws, library: ImageLibrary, image_id: str
) -> None:
    """The number must be written as the gateway returns it."""
    job_id = await store_job(settings, aws)

    assert await library.key(image_id.replace("{job}", job_id), OWNER) is None


async def test_an_expired_image_is_not_found(settings: Settings, aws: Aws, library: ImageLibrary) -> None:
    """A job record can exist longer than its images."""
    job_id = await store_job(settings, aws)
    aws_client("s3").delete_object(Bucket=settings.bucket, Key=f"images/2026/11/22/{job_id}/0.png")

    assert await library.key(f"{job_id}-0", OWNER) is not None
    assert await library.read(f"{job_id}-0", OWNER) is None


async def test_an_upload_can_only_be_read_by_its_owner(library: ImageLibrary) -> None:
    """Not even an administrator can read it, because the reader's own id is part of the key."""
    upload = library.upload(UploadForm(content_type="image/png", bytes=100), OWNER)
    sent = web.post(upload.url, data=upload.fields, files={"file": b"data"})

    assert sent.is_success
    assert await library.read(upload.id, OWNER) == b"data"
    assert await library.read(upload.id, OTHER_OWNER) is None
    assert await library.read(upload.id, ADMIN) is None
    assert library.reference(f"{upload.url.rstrip('/')}/{upload.fields['key']}") == upload.id


async def test_each_upload_has_an_id_of_its_own(library: ImageLibrary) -> None:
    """Two uploads with the same form are two files."""
    form = UploadForm(content_type="image/png", bytes=100)

    assert library.upload(form, OWNER).id != library.upload(form, OWNER).id


async def test_an_upload_over_50_mb_is_too_large(settings: Settings, library: ImageLibrary) -> None:
    """Its size is checked before its content is read."""
    put(settings, f"uploads/1/{JOB}", bytes(MAX_BYTES + 1))

    with pytest.raises(TooLarge, match="50 MB"):
        await library.read(f"upload-{JOB}", OWNER)


async def test_a_failure_of_the_bucket_is_not_a_404(settings: Settings, aws: Aws) -> None:
    """A bucket that does not exist is an error of the deployment, and another attempt is not suggested."""
    broken = settings.model_copy(update={"bucket": "no-such-bucket"})

    with pytest.raises(StorageUnavailable, match="NoSuchBucket") as caught:
        await ImageLibrary(aws, broken, JobStore(aws, settings)).read(f"upload-{JOB}", OWNER)

    assert caught.value.retry_after is None
