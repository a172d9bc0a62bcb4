"""A bucket of S3: objects put and read, and what others may do with them by presigned URLs and forms."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from image_gateway.aws import environment
from image_gateway.aws.client import Aws


class Bucket:
    """One bucket in the region of the environment.

    Args:
        aws: sends and signs.
        name: of the bucket.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self._name = name

    @property
    def base_url(self) -> str:
        """The URL under which all keys lie, with a slash at its end: regional and, on AWS, with the bucket as host.

        Newer regions serve presigned URLs in no other form. A name with dots has no certificate as a host.
        """
        if endpoint := environment.custom_endpoint("s3"):
            return f"{endpoint}/{self._name}/"
        host = environment.host("s3")
        return f"https://{host}/{self._name}/" if "." in self._name else f"https://{self._name}.{host}/"

    async def put(
        self, key: str, data: bytes | memoryview, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Store an object whole; S3 refuses it where the bytes that arrive are not these.

        Args:
            key: where.
            data: its bytes.
            content_type: what it will be given out as.
            metadata: kept with the object; printable ASCII.

        Raises:
            AwsError: S3 does not take it.
        """
        kept = {f"x-amz-meta-{name.lower()}": value for name, value in (metadata or {}).items()}
        headers = {"content-type": content_type, **kept}
        await self._aws.send("s3", "PUT", self._url(key), headers=headers, body=data)

    async def get(self, key: str, *, version_id: str = "", etag: str = "", max_bytes: int | None = None) -> bytes:
        """The bytes of an object.

        Args:
            key: which one.
            version_id: in a bucket with versions, of this version.
            etag: only while it is this one.
            max_bytes: bytes; a larger object is not read.

        Raises:
            AwsError: S3 does not give it; its code is `TOO_LARGE` where it is over `max_bytes`.
        """
        query = f"?versionId={quote(version_id, safe='')}" if version_id else ""
        headers = {"if-match": etag} if etag else {}
        return await self._aws.send("s3", "GET", self._url(key) + query, headers=headers, max_bytes=max_bytes)

    def presigned_url(self, key: str, seconds: int) -> str:
        """A URL by which anybody may read the object for so many seconds. Nothing is asked of S3."""
        return self._aws.signer("s3").presigned_url(self._url(key), seconds)

    def presigned_post(
        self, key: str, fields: Mapping[str, str], conditions: list[Any], seconds: int
    ) -> dict[str, str]:
        """The fields of a form by which anybody may post an object to `address` for so many seconds.

        Args:
            key: where it will lie.
            fields: what else the form sends; each needs a condition.
            conditions: in the words of S3's policies.
            seconds: how long the form can be used.
        """
        expiration = datetime.now(UTC) + timedelta(seconds=seconds)
        own = [{"bucket": self._name}, {"key": key}]
        return self._aws.signer("s3").presigned_post(expiration, {**fields, "key": key}, [*conditions, *own])

    def _url(self, key: str) -> str:
        return self.base_url + quote(key, safe="/-_.~")
