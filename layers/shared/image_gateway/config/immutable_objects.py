"""Objects in the bucket that never change: the key of each has the SHA-256 of its content."""

import hashlib
import re
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from image_gateway.aws import TOO_LARGE, AwsError, Bucket

T = TypeVar("T")

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MAX_KEPT: Final = 8
"""How many objects a process keeps: the current one, and those that its jobs were accepted with."""


class ImmutableObjects(Generic[T]):
    """The objects of one kind. A process reads each of them once.

    Args:
        bucket: the bucket for the configuration's long values.
        prefix: the first part of the keys.
        max_bytes: the largest object that is read.
        parse: returns what a process keeps of a content with a hash; None if this version cannot use it.
    """

    def __init__(self, bucket: Bucket, prefix: str, *, max_bytes: int, parse: Callable[[bytes, str], T | None]) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._max_bytes = max_bytes
        self._parse = parse
        self._kept: dict[str, T] = {}

    def key(self, digest: str) -> str:
        """Return the key of the object with this hash."""
        return f"{self._prefix}{digest}.json"

    async def read(self, digest: str) -> T | None:
        """Return the object with this hash; None if it is gone, damaged, or of no use to this version.

        Raises:
            AwsError: the bucket does not respond.
        """
        if digest not in self._kept:
            parsed = await self._parsed(digest)
            if parsed is None:
                return None
            self._keep(digest, parsed)
        return self._kept[digest]

    async def write(self, content: bytes, digest: str, value: T) -> T:
        """Store an object, unless this process knows it.

        Args:
            content: the content.
            digest: its hash: see `digest_of`.
            value: what a process keeps of it.

        Returns:
            What this process keeps of it.

        Raises:
            AwsError: the bucket does not accept it.
        """
        if digest not in self._kept:
            await self._bucket.put(self.key(digest), content, "application/json")
            self._keep(digest, value)
        return self._kept[digest]

    def _keep(self, digest: str, parsed: T) -> None:
        while len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[digest] = parsed

    async def _parsed(self, digest: str) -> T | None:
        if not _DIGEST.fullmatch(digest):
            return None
        try:
            content = await self._bucket.get(self.key(digest), max_bytes=self._max_bytes)
        except AwsError as error:
            if error.gone or error.code == TOO_LARGE:
                return None
            raise
        return self._parse(content, digest) if digest_of(content) == digest else None


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a content in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
