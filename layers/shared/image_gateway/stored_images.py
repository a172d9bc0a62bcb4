"""Pictures and uploads of this deployment as inputs of edits: by id or by presigned URL, for their owner."""

import asyncio
import re
import uuid
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import unquote, urlsplit

from image_gateway.aws import Aws, error_code
from image_gateway.errors import NotFound, StorageUnavailable, TooLarge
from image_gateway.fetch import MAX_BYTES
from image_gateway.job_store import JobStore
from image_gateway.models.forms import UploadForm
from image_gateway.models.pictures import Upload
from image_gateway.settings import Settings
from image_gateway.tokens import Principal, Role

UPLOAD_SECONDS = 900
"""How long a presigned POST can be used (15 minutes)."""

_PICTURE_KEY = re.compile(r"images/\d{4}/\d\d/\d\d/(?P<job>[0-9a-f-]{36})/(?P<number>\d+)\.\w+")
_UPLOAD_KEY = re.compile(r"uploads/[^/]+/(?P<upload>[0-9a-f-]{36})")
# S3 answers 403 for what is not there to those who may not list the bucket.
_MISSING = ("NoSuchKey", "AccessDenied", "404", "403")


class BucketImages:
    """Reads pictures and uploads from the bucket, and lets callers upload.

    Args:
        aws: clients; S3.
        settings: names the bucket.
        jobs: says which pictures a job has and whose they are.
    """

    def __init__(self, aws: Aws, settings: Settings, jobs: JobStore) -> None:
        self._aws = aws
        self._bucket = settings.bucket
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
        if found := _PICTURE_KEY.fullmatch(key):
            return f"{found['job']}-{found['number']}"
        if found := _UPLOAD_KEY.fullmatch(key):
            return f"upload-{found['upload']}"
        raise NotFound("The URL is not one of a picture or an upload")

    async def read(self, reference: str, principal: Principal) -> bytes | None:
        """The picture or upload of that id; None where there is none, or where it is somebody else's.

        Raises:
            TooLarge: it is over `MAX_BYTES`.
            StorageUnavailable: the bucket or the table does not answer.
        """
        if reference.startswith("upload-"):
            return await asyncio.to_thread(self._get, _upload_key(principal, reference.removeprefix("upload-")))
        key = await self.key(reference, principal)
        return None if key is None else await asyncio.to_thread(self._get, key)

    async def key(self, picture_id: str, principal: Principal) -> str | None:
        """Where the picture of that id lies; None where there is none, or where it is somebody else's."""
        job_id, _, number = picture_id.rpartition("-")
        job = await self._jobs.get(job_id)
        if job is None or (job.owner != principal.owner and principal.role < Role.ADMIN):
            return None
        return next((picture.key for picture in job.pictures if str(picture.number) == number), None)

    def upload(self, form: UploadForm, principal: Principal) -> Upload:
        """A presigned POST, bound to the type and the greatest size that were said."""
        upload_id = str(uuid.uuid4())
        post = self._aws.s3.generate_presigned_post(
            self._bucket,
            _upload_key(principal, upload_id),
            Fields={"Content-Type": form.content_type},
            Conditions=[{"Content-Type": form.content_type}, ["content-length-range", 1, form.bytes]],
            ExpiresIn=UPLOAD_SECONDS,
        )
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=UPLOAD_SECONDS)
        return Upload(id=f"upload-{upload_id}", url=post["url"], fields=post["fields"], expires_at=expires_at)

    def _get(self, key: str) -> bytes | None:
        try:
            found = self._aws.s3.get_object(Bucket=self._bucket, Key=key)
            if found["ContentLength"] > MAX_BYTES:
                found["Body"].close()
                raise TooLarge(f"The picture is over {MAX_BYTES // 1_000_000} MB")
            return found["Body"].read()
        except self._aws.errors as error:
            if error_code(error) in _MISSING:
                return None
            raise StorageUnavailable(f"The picture cannot be read: {error_code(error)}", retry_after=1) from error

    @cached_property
    def _address(self) -> tuple[str, str]:
        """Host and path under which presigned URLs reach the bucket."""
        url = self._aws.s3.generate_presigned_url("get_object", Params={"Bucket": self._bucket, "Key": "key"})
        parts = urlsplit(url)
        return parts.netloc.lower(), parts.path.removesuffix("key")


def _upload_key(principal: Principal, upload_id: str) -> str:
    """The owner is part of the key, so somebody else's id leads nowhere."""
    return f"uploads/{principal.id}/{upload_id}"
