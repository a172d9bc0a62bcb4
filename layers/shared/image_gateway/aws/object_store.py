"""JSON documents and request files in the bucket."""

import json
from typing import Any

from image_gateway.aws import TOO_LARGE, Aws, AwsError, Bucket, storage_errors, unavailable
from image_gateway.errors import NotFound, TooLarge
from image_gateway.settings import Settings


class ObjectStore:
    """Objects in the bucket that are not images.

    Args:
        aws: S3.
        settings: names the bucket.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._bucket = Bucket(aws, settings.bucket)

    async def put_json(self, key: str, document: Any) -> None:
        """Store a document as JSON.

        Raises:
            StorageUnavailable: S3 did not store it.
        """
        body = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
        with storage_errors(f"{key} was not stored"):
            await self._bucket.put(key, body, "application/json")

    async def get_json(self, key: str) -> Any:
        """Return a document that `put_json` stored.

        Raises:
            NotFound: it does not exist.
            StorageUnavailable: S3 did not return it.
        """
        return json.loads(await self.get_bytes(key))

    async def get_bytes(self, key: str, *, version_id: str = "", etag: str = "", max_bytes: int | None = None) -> bytes:
        """Return the content of an object.

        Args:
            key: the object's key.
            version_id: read this version, in a bucket with versioning.
            etag: without `version_id`: read the object only if it has this ETag.
            max_bytes: do not read a larger object.

        Raises:
            NotFound: the object does not exist, or was replaced.
            TooLarge: the object is larger than `max_bytes`.
            StorageUnavailable: S3 did not return it.
        """
        try:
            return await self._bucket.get(
                key, version_id=version_id, etag="" if version_id else etag, max_bytes=max_bytes
            )
        except AwsError as error:
            if error.code == TOO_LARGE:
                raise TooLarge(f"The file is larger than {max_bytes} bytes") from None
            if error.gone:
                raise NotFound(f"{key} does not exist, or was replaced") from error
            raise unavailable(f"{key} cannot be read", error) from error
