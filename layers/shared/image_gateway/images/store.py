"""Storage of images in the bucket, under `images/{yyyy}/{mm}/{dd}/{job}/{n}.{ext}`, and presigned URLs to read them."""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from image_gateway.aws import Aws, AwsError, Bucket, Remaining, persist, storage_errors
from image_gateway.ids import job_time
from image_gateway.images.sniff import ImageType
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

_MAX_METADATA = 512
_NUMBER = re.compile(r"/(\d+)\.\w+$")


def image_folder(job_id: str) -> str:
    """Return what the keys of a job's output images begin with, with a slash at its end."""
    return f"images/{job_time(job_id):%Y/%m/%d}/{job_id}/"


class ImageStore:
    """Stores images, and signs URLs to them.

    Args:
        aws: S3.
        settings: names the bucket, and says how long a URL is valid.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._bucket = Bucket(aws, settings.bucket)
        self._url_seconds = settings.url_expiry_seconds

    async def put(
        self,
        job_id: str,
        number: int,
        data: bytes,
        image_type: ImageType,
        metadata: Mapping[str, str],
        *,
        remaining: Remaining,
    ) -> str:
        """Store an output image, and return its key. While the bucket fails and time is left, this is tried again.

        Args:
            job_id: the job that made the image.
            number: the number of the image in the job, from 0.
            data: the encoded image.
            image_type: the type of the image, as `sniff` detects it.
            metadata: the object's metadata. Values are percent-encoded except for printable ASCII, and cut to 512
                characters.
            remaining: returns the seconds that are left for this.

        Raises:
            StorageUnavailable: the bucket does not accept the image.
        """
        key = f"{image_folder(job_id)}{number}.{image_type.extension}"
        headers = {name: _header_value(value) for name, value in metadata.items() if value.strip()}
        with storage_errors("The image was not stored", retry_after=None, may_have_cost=True, outstanding=True):
            await persist(lambda: self._bucket.put(key, data, image_type.content_type, headers), remaining)
        return key

    async def find(self, job_id: str) -> list[str]:
        """Return the keys of a job's stored output images, in the order of their numbers.

        If the function may not list the bucket, this is logged and none are found.

        Raises:
            StorageUnavailable: the bucket does not respond.
        """
        with storage_errors("The job's images cannot be listed"):
            try:
                keys = await self._bucket.keys(image_folder(job_id))
            except AwsError as error:
                if error.transient:
                    raise
                logger.exception("a job's images cannot be listed", extra={"job_id": job_id})
                return []
        numbers = {int(match[1]): key for key in keys if (match := _NUMBER.search(key))}
        return [numbers[number] for number in sorted(numbers)]

    async def put_input(self, job_id: str, name: str, data: bytes, content_type: str) -> str:
        """Store an input image of a queued job, and return its key.

        Raises:
            StorageUnavailable: the bucket does not accept the image.
        """
        key = f"inputs/{job_id}/{name}"
        with storage_errors("The input was not stored"):
            await self._bucket.put(key, data, content_type)
        return key

    async def put_response(self, job_id: str, body: bytes | bytearray, remaining: Remaining) -> str:
        """Store a job's response (JSON) that is too large to be returned directly, and return its key.

        While the bucket fails and time is left, this is tried again: `remaining` returns the seconds that are left.

        Raises:
            StorageUnavailable: the bucket does not accept the response.
        """
        key = f"answers/{job_id}.json"
        with storage_errors("The response was not stored", retry_after=None, may_have_cost=True):
            await persist(lambda: self._bucket.put(key, memoryview(body), "application/json"), remaining)
        return key

    async def get(self, key: str) -> bytes:
        """Return the content of an object in the bucket.

        Raises:
            StorageUnavailable: the bucket does not return the object.
        """
        with storage_errors(f"{key} cannot be read"):
            return await self._bucket.get(key)

    def url(self, key: str, *, file_name: str = "") -> tuple[str, datetime]:
        """Return a presigned URL and the time of its expiry (UTC), without a request to S3.

        With `file_name`, a browser saves the image under this name instead of showing it.
        """
        url = self._bucket.presigned_url(key, self._url_seconds, file_name=file_name)
        return url, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self._url_seconds)


def _header_value(text: str) -> str:
    # S3 accepts at most 2 KB of metadata, and HTTP no spaces around a value. An image must not be lost because of the
    # name of its model.
    return quote(text.strip(), safe=" /:;,.@+()[]=")[:_MAX_METADATA].rstrip()
