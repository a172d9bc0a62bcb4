"""An S3 bucket: reads and writes objects, and creates presigned URLs and POST forms."""

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from image_gateway.aws import environment
from image_gateway.aws.client import Aws

_KEY = re.compile("<Key>([^<]*)</Key>")
_MODIFIED = re.compile("<LastModified>([^<]*)</LastModified>")


class Bucket:
    """One bucket in the region of the environment.

    Args:
        aws: S3.
        name: the bucket's name.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self._name = name

    @property
    def base_url(self) -> str:
        """The URL of the bucket, with a slash at its end. Keys are appended to it.

        On AWS the host is regional and starts with the bucket's name, because newer regions serve presigned URLs in
        no other form. A bucket with dots in its name is part of the path: no certificate is valid for it as a host.
        """
        if endpoint := environment.custom_endpoint("s3"):
            return f"{endpoint}/{self._name}/"
        host = environment.host("s3")
        return f"https://{host}/{self._name}/" if "." in self._name else f"https://{self._name}.{host}/"

    async def put(
        self, key: str, data: bytes | memoryview, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Store an object. S3 checks the hash of the content, and refuses other bytes.

        Args:
            key: the object's key.
            data: the content.
            content_type: the content type that S3 serves the object with.
            metadata: user-defined metadata of the object, in printable ASCII.

        Raises:
            AwsError: S3 did not store the object.
        """
        metadata_headers = {f"x-amz-meta-{name.lower()}": value for name, value in (metadata or {}).items()}
        headers = {"content-type": content_type, **metadata_headers}
        await self._aws.send("s3", "PUT", self._url(key), headers=headers, body=data)

    async def get(self, key: str, *, version_id: str = "", etag: str = "", max_bytes: int | None = None) -> bytes:
        """Return the content of an object.

        Args:
            key: the object's key.
            version_id: read this version, in a bucket with versioning.
            etag: read the object only if it has this ETag.
            max_bytes: do not read a larger object.

        Raises:
            AwsError: S3 did not return the object; the code is `TOO_LARGE` if it is larger than `max_bytes`.
        """
        query = f"?versionId={quote(version_id, safe='')}" if version_id else ""
        headers = {"if-match": etag} if etag else {}
        return await self._aws.send("s3", "GET", self._url(key) + query, headers=headers, max_bytes=max_bytes)

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, sorted as text: at most 1,000, S3's limit of one response.

        Raises:
            AwsError: S3 did not list them.
        """
        return [html.unescape(key) for key in _KEY.findall(await self._listing(prefix))]

    async def times(self, prefix: str) -> list[datetime]:
        """Return when the objects whose keys begin with a prefix were stored: of at most 1,000 objects.

        Raises:
            AwsError: S3 did not list them.
        """
        return [datetime.fromisoformat(time) for time in _MODIFIED.findall(await self._listing(prefix))]

    def presigned_url(self, key: str, seconds: int, *, file_name: str = "") -> str:
        """Return a URL with which anybody may read the object for `seconds`. This sends no request.

        With `file_name`, a browser saves the object under this name instead of showing it. The name needs no quoting.
        """
        disposition = {"response-content-disposition": f'attachment; filename="{file_name}"'} if file_name else {}
        return self._aws.signer("s3").presigned_url(self._url(key), seconds, disposition)

    def presigned_post(
        self, key: str, fields: Mapping[str, str], conditions: list[Any], seconds: int
    ) -> dict[str, str]:
        """Return the fields of a form with which anybody may POST an object to `base_url`. This sends no request.

        Args:
            key: the object's key.
            fields: other fields of the form; each needs a condition.
            conditions: conditions of the S3 POST policy.
            seconds: how long the form is valid.
        """
        expiration = datetime.now(UTC) + timedelta(seconds=seconds)
        target = [{"bucket": self._name}, {"key": key}]
        return self._aws.signer("s3").presigned_post(expiration, {**fields, "key": key}, [*conditions, *target])

    async def _listing(self, prefix: str) -> str:
        url = f"{self.base_url}?list-type=2&prefix={quote(prefix, safe='')}"
        return (await self._aws.send("s3", "GET", url, headers={})).decode()

    def _url(self, key: str) -> str:
        return self.base_url + quote(key, safe="/-_.~")
