"""A request file: an object of the bucket that holds requests."""

from dataclasses import dataclass
from datetime import datetime

from image_gateway.ids import derived_job_id

REQUESTS = "requests/"
"""Where request files are put."""


@dataclass(frozen=True, slots=True)
class RequestFile:
    """A file of requests: one (`.json`), or one a line (`.jsonl`).

    `identity` is the same for the same version of the same file. Its ids sort by `time`, when it was told of: whoever
    takes the file puts the time there that it was told of first.
    """

    key: str
    etag: str
    version_id: str
    time: datetime
    identity: tuple[str, ...]

    @property
    def id(self) -> str:
        """The same for the same version of the same file, and the same time."""
        return derived_job_id(self.time, *self.identity)

    @property
    def single(self) -> bool:
        """Whether the whole file is one request."""
        return self.key.endswith(".json")

    def job_id(self, line: int) -> str:
        """The id of the job that a line, counted from 1, becomes."""
        return derived_job_id(self.time, *self.identity, str(line))
