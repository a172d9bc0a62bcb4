"""Images and uploads of this deployment as inputs of edits: by id or by presigned URL, for their owner."""

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
"""How long a presigned POST can be used (15 minutes)."""

_IMAGE_KEY = re.compile(rf"images/\d{{4}}/\d\d/\d\d/(?P<job>{UUID})/(?P<number>\d+)\.\w+")
_UPLOAD_KEY = re.compile(rf"uploads/[^/]+/(?P<upload>{UUID})")


class JobReader(Protocol):
    """The records of jobs, which say whose an image is."""

    async def get(self, job_id: str) -> Job | None:
        """The job of that id, as it is now."""


class ImageLibrary:
    """Reads images and uploads from the bucket, and lets callers upload.

    Args:
        aws: S3.
        settings: names the bucket.
        jobs: says which images a job has and whose they are.
    """

    def __init__(self, aws: Aws, settings: Settings, jobs: JobReader) -> None:
        self._bucket = Bucket(aws, settings.bucket)
        self._jobs = jobs

    def reference(self, url: str) -> str | None:
        """The id that `url` is an address of, or None where it leads elsewhere.

        Raises:
            NotFound: it leads to this deployment's bucket, and to nothing that can be an input.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        host, folder = self._address
        if parts.netloc.lower() != host or not parts.path.startswith(folder):
            return None
        key = unquote(parts.path.removeprefix(folder))
        if found := _IMAGE_KEY.fullmatch(key):
            return f"{found['job']}-{found['number']}"
        if found := _UPLOAD_KEY.fullmatch(key):
            return f"upload-{found['upload']}"
        raise NotFound("The URL is not one of an image or an upload")

    async def read(self, reference: str, principal: Principal) -> bytes | None:
        """The image or upload of that id; None where there is none, or where it is somebody else's.

        Raises:
            TooLarge: it is over `MAX_BYTES`.
            StorageUnavailable: the bucket or the table does not answer.
        """
        if reference.startswith("upload-"):
            return await self._get(_upload_key(principal, reference.removeprefix("upload-")))
        key = await self.key(reference, principal)
        return None if key is None else await self._get(key)

    async def key(self, image_id: str, principal: Principal) -> str | None:
        """Where the image of that id lies; None where there is none, or where it is somebody else's."""
        job_id, _, number = image_id.rpartition("-")
        job = await self._jobs.get(job_id)
        if job is None or (job.owner != principal.owner and principal.role < Role.ADMIN):
            return None
        return next((image.key for image in job.images if str(image.number) == number), None)

    def upload(self, form: UploadForm, principal: Principal) -> Upload:
        """A presigned POST, bound to the type and the greatest size that were said."""
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
    def _address(self) -> tuple[str, str]:
        """Host and path under which presigned URLs reach the bucket."""
        parts = urlsplit(self._bucket.base_url)
        return parts.netloc.lower(), parts.path


def _upload_key(principal: Principal, upload_id: str) -> str:
    """The owner is part of the key, so somebody else's id leads nowhere."""
    return f"uploads/{principal.id}/{upload_id}"
