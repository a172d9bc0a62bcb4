"""JSON documents and request files in the bucket."""

import json
from typing import Any

from image_gateway.aws import TOO_LARGE, Aws, AwsError, Bucket, storage_errors, unavailable
from image_gateway.errors import NotFound, TooLarge
from image_gateway.settings import Settings


class ObjectStore:
    """Objects of the bucket that are not images.

    Args:
        aws: S3.
        settings: names the bucket.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._bucket = Bucket(aws, settings.bucket)

    async def put_json(self, key: str, document: Any) -> None:
        """Store a document as JSON.

        Raises:
            StorageUnavailable: the bucket does not take it.
        """
        body = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
        with storage_errors(f"{key} was not stored"):
            await self._bucket.put(key, body, "application/json")

    async def get_json(self, key: str) -> Any:
        """A document that was put.

        Raises:
            NotFound: there is none.
            StorageUnavailable: the bucket does not give it.
        """
        return json.loads(await self.get_bytes(key))

    async def get_bytes(self, key: str, *, version_id: str = "", etag: str = "", max_bytes: int | None = None) -> bytes:
        """The bytes of an object.

        Args:
            key: which one.
            version_id: in a bucket with versions, of this version.
            etag: only while it is this one.
            max_bytes: bytes that are read at most.

        Raises:
            NotFound: there is none, or another by now.
            TooLarge: it has more than `max_bytes` bytes.
            StorageUnavailable: the bucket does not give it.
        """
        try:
            return await self._bucket.get(
                key, version_id=version_id, etag="" if version_id else etag, max_bytes=max_bytes
            )
        except AwsError as error:
            if error.code == TOO_LARGE:
                raise TooLarge(f"The file is over {max_bytes} bytes") from None
            if error.gone:
                raise NotFound(f"{key} is gone, or another by now") from error
            raise unavailable(f"{key} cannot be read", error) from error
