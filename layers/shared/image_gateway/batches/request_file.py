"""A request file: an object in the bucket that holds requests."""

from dataclasses import dataclass
from datetime import datetime

from image_gateway.ids import derived_job_id

REQUESTS_PREFIX = "requests/"
"""Key prefix of request files."""


@dataclass(frozen=True, slots=True)
class RequestFile:
    """One version of a request file: a single request (`.json`), or one request per line (`.jsonl`).

    Attributes:
        key: the object's key.
        etag: the object's ETag; empty if unknown.
        version_id: the object's version; empty in a bucket without versioning.
        time: when the first notification of this version arrived. All ids derived from the file sort by it.
        identity: the same strings for the same version of the same file.
    """

    key: str
    etag: str
    version_id: str
    time: datetime
    identity: tuple[str, ...]

    @property
    def id(self) -> str:
        """The batch's id: the same for the same version of the file and the same time."""
        return derived_job_id(self.time, *self.identity)

    @property
    def single(self) -> bool:
        """Whether the whole file is one request."""
        return self.key.endswith(".json")

    def job_id(self, line: int) -> str:
        """Return the id of the job for a line. Lines are counted from 1."""
        return derived_job_id(self.time, *self.identity, str(line))
