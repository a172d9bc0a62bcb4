"""Images in the bucket: `images/{yyyy}/{mm}/{dd}/{job}/{n}.{ext}`, read through presigned URLs."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from image_gateway.aws import Aws, Bucket, storage_errors
from image_gateway.ids import job_time
from image_gateway.images.sniff import ImageType
from image_gateway.settings import Settings

_MAX_METADATA = 512


class ImageStore:
    """Stores images and signs URLs to them.

    Args:
        aws: S3.
        settings: names the bucket and the life of a URL.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._bucket = Bucket(aws, settings.bucket)
        self._expiry = settings.url_expiry_seconds

    async def put(self, job_id: str, number: int, data: bytes, kind: ImageType, metadata: Mapping[str, str]) -> str:
        """Store one image whole, and give its key.

        Args:
            job_id: the job that made it.
            number: its place among the job's images, from 0.
            data: the encoded image.
            kind: what its bytes say it is.
            metadata: text kept with the object: at most `_MAX_METADATA` characters each, anything but printable ASCII
                percent-encoded.

        Raises:
            StorageUnavailable: the bucket does not take it.
        """
        key = f"{_folder(job_id)}/{number}.{kind.extension}"
        text = {name: _header_value(value) for name, value in metadata.items() if value.strip()}
        with storage_errors("The image was not stored", retry_after=None, may_have_cost=True, outstanding=True):
            await self._bucket.put(key, data, kind.content_type, text)
        return key

    async def put_input(self, job_id: str, name: str, data: bytes, content_type: str) -> str:
        """Store an input image of a job until the job is done, and give its key.

        Raises:
            StorageUnavailable: the bucket does not take it.
        """
        key = f"inputs/{job_id}/{name}"
        with storage_errors("The input was not stored"):
            await self._bucket.put(key, data, content_type)
        return key

    async def put_response(self, job_id: str, body: bytes | bytearray) -> str:
        """Store the answer (JSON) of a job that is too long to be given directly, and give its key.

        Raises:
            StorageUnavailable: the bucket does not take it.
        """
        key = f"answers/{job_id}.json"
        with storage_errors("The response was not stored", retry_after=None, may_have_cost=True):
            await self._bucket.put(key, memoryview(body), "application/json")
        return key

    async def get(self, key: str) -> bytes:
        """The bytes of an object of ours.

        Raises:
            StorageUnavailable: the bucket does not give it.
        """
        with storage_errors(f"{key} cannot be read"):
            return await self._bucket.get(key)

    def url(self, key: str) -> tuple[str, datetime]:
        """A presigned URL and when it expires, UTC. Nothing is asked of S3."""
        url = self._bucket.presigned_url(key, self._expiry)
        return url, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self._expiry)


def _header_value(text: str) -> str:
    # S3 takes 2 KB of metadata in all, and HTTP no blanks around a value; no image must be lost for its model's name.
    return quote(text.strip(), safe=" /:;,.@+()[]=")[:_MAX_METADATA].rstrip()


def _folder(job_id: str) -> str:
    return f"images/{job_time(job_id):%Y/%m/%d}/{job_id}"
