"""The images and uploads of this deployment, which their owner can use as inputs of edits by id or presigned URL."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Protocol
from urllib.parse import unquote, urlsplit

from image_gateway.access.principals import Principal, Role
from image_gateway.aws import TOO_LARGE, Aws, AwsError, Bucket, unavailable
from image_gateway.errors import NotFound, TooLarge
from image_gateway.ids import UUID
from image_gateway.models.forms import UploadForm
from image_gateway.models.images import Upload
from image_gateway.models.jobs import Job
from image_gateway.net.public_fetch import MAX_BYTES
from image_gateway.settings import Settings

UPLOAD_SECONDS = 900
"""How long a presigned POST is valid (15 minutes)."""

_IMAGE_KEY = re.compile(rf"images/\d{{4}}/\d\d/\d\d/(?P<job>{UUID})/(?P<number>\d+)\.\w+")
_UPLOAD_KEY = re.compile(rf"uploads/[^/]+/(?P<upload>{UUID})")


class JobRecords(Protocol):
    """The records of jobs, which have the owner of each image."""

    async def get(self, job_id: str) -> Job | None:
        """Return the job with this id as it is now, or None."""


class ImageLibrary:
    """Reads images and uploads from the bucket, and signs uploads.

    Args:
        aws: S3.
        settings: names the bucket.
        jobs: reads the images and the owner of a job.
    """

    def __init__(self, aws: Aws, settings: Settings, jobs: JobRecords) -> None:
        self._bucket = Bucket(aws, settings.bucket)
        self._jobs = jobs

    def reference(self, url: str) -> str | None:
        """Return the id of the image or upload at `url`; None if the URL is not in this deployment's bucket.

        Raises:
            NotFound: the URL is in this deployment's bucket, but it is not one of an image or an upload.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        host, folder = self._host_and_path
        if parts.netloc.lower() != host or not parts.path.startswith(folder):
            return None
        key = unquote(parts.path.removeprefix(folder))
        if match := _IMAGE_KEY.fullmatch(key):
            return f"{match['job']}-{match['number']}"
        if match := _UPLOAD_KEY.fullmatch(key):
            return f"upload-{match['upload']}"
        raise NotFound("The URL is not one of an image or an upload")

    async def read(self, reference: str, principal: Principal) -> bytes | None:
        """Return the image or upload with this id; None if it does not exist, or if `principal` may not read it.

        Its owner may read an image or an upload. An administrator may read every image.

        Raises:
            TooLarge: it has more than `MAX_BYTES`.
            StorageUnavailable: the bucket or the table does not respond.
        """
        if reference.startswith("upload-"):
            return await self._get(_upload_key(principal, reference.removeprefix("upload-")))
        key = await self.key(reference, principal)
        return None if key is None else await self._get(key)

    async def key(self, image_id: str, principal: Principal) -> str | None:
        """Return the key of the image with this id; None if it does not exist, or if `principal` may not read it."""
        job_id, _, number = image_id.rpartition("-")
        job = await self._jobs.get(job_id)
        if job is None or (job.owner != principal.owner and principal.role < Role.ADMIN):
            return None
        return next((image.key for image in job.images if str(image.number) == number), None)

    def upload(self, form: UploadForm, principal: Principal) -> Upload:
        """Return a presigned POST for a new upload, limited to the form's content type and size."""
        upload_id = str(uuid.uuid4())
        fields = self._bucket.presigned_post(
            _upload_key(principal, upload_id),
            {"Content-Type": form.content_type},
            [{"Content-Type": form.content_type}, ["content-length-range", 1, form.bytes]],
            UPLOAD_SECONDS,
        )
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=UPLOAD_SECONDS)
        return Upload(id=f"upload-{upload_id}", url=self._bucket.base_url, fields=fields, expires_at=expires_at)

    async def _get(self, key: str) -> bytes | None:
        try:
            return await self._bucket.get(key, max_bytes=MAX_BYTES)
        except AwsError as error:
            if error.code == TOO_LARGE:
                raise TooLarge(f"The image is over {MAX_BYTES // 1_000_000} MB") from None
            if error.gone:
                return None
            raise unavailable("The image cannot be read", error) from error

    @cached_property
    def _host_and_path(self) -> tuple[str, str]:
        """The host (lower case) and the path under which presigned URLs reach the bucket."""
        parts = urlsplit(self._bucket.base_url)
        return parts.netloc.lower(), parts.path


def _upload_key(principal: Principal, upload_id: str) -> str:
    """Return the key of an upload. The owner's id is part of it, so the id of another owner's upload is not found."""
    return f"uploads/{principal.id}/{upload_id}"
