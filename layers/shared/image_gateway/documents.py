"""JSON documents and request files in the bucket."""

import asyncio
import json
from typing import Any

from image_gateway.aws import Aws, error_code
from image_gateway.errors import NotFound, StorageUnavailable, TooLarge
from image_gateway.settings import Settings

# S3 answers 403 for what is not there to those who may not list the bucket, and 412 where another lies there by now.
_GONE = ("NoSuchKey", "NoSuchVersion", "AccessDenied", "PreconditionFailed", "404", "403", "412")


class Documents:
    """Objects of the bucket that are not pictures.

    Args:
        aws: clients; S3.
        settings: names the bucket.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._bucket = settings.bucket

    async def put(self, key: str, document: Any) -> None:
        """Store a document as JSON.

        Raises:
            StorageUnavailable: the bucket does not take it.
        """
        body = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
        try:
            await asyncio.to_thread(
                self._aws.s3.put_object, Bucket=self._bucket, Key=key, Body=body, ContentType="application/json"
            )
        except self._aws.errors as error:
            raise StorageUnavailable(f"{key} was not stored: {error_code(error)}", retry_after=1) from error

    async def get(self, key: str) -> Any:
        """A document that was put.

        Raises:
            NotFound: there is none.
            StorageUnavailable: the bucket does not give it.
        """
        return json.loads(await self.read(key))

    async def read(self, key: str, *, version_id: str = "", etag: str = "", most: int | None = None) -> bytes:
        """The bytes of an object.

        Args:
            key: which one.
            version_id: in a bucket with versions, of this version.
            etag: only while it is this one.
            most: bytes that are read at most.

        Raises:
            NotFound: there is none, or another by now.
            TooLarge: it has more than `most` bytes.
            StorageUnavailable: the bucket does not give it.
        """
        which: dict[str, str] = {"VersionId": version_id} if version_id else {"IfMatch": etag} if etag else {}

        def load() -> bytes:
            found = self._aws.s3.get_object(Bucket=self._bucket, Key=key, **which)  # type: ignore[arg-type]  # names
            if most is not None and found["ContentLength"] > most:
                found["Body"].close()
                raise TooLarge(f"The file is over {most} bytes")
            return found["Body"].read()

        try:
            return await asyncio.to_thread(load)
        except self._aws.errors as error:
            if error_code(error) in _GONE:
                raise NotFound(f"{key} is gone, or another by now") from error
            raise StorageUnavailable(f"{key} cannot be read: {error_code(error)}", retry_after=1) from error
