"""How long calls to AWS may take, with all their attempts.

API Gateway cuts off a request after 30 s. So a service that accepts connections and stays silent must fail a call early
enough for an error response, or for a response without what failed.

`AWS_TIME_LIMIT_FACTOR` multiplies all limits, for an emulation of AWS on a slow computer.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from image_gateway.errors import StorageUnavailable

_BYTES_PER_SECOND = 2**20
"""The slowest upload that is given enough time."""


class Deadline(NamedTuple):
    """Time limits of a service, in seconds.

    Attributes:
        total: for a call with all its attempts and the pauses between them, without the upload of a body.
        silence: for each attempt, how long the service may send nothing. It leaves time for another attempt.
        connect: for each attempt, how long connecting may take.
    """

    total: float
    silence: float
    connect: float

    def seconds(self, body_bytes: int) -> float:
        """Return the time limit of a call whose request has a body of this size."""
        return (self.total + body_bytes / _BYTES_PER_SECOND) * time_limit_factor()

    def timeouts(self) -> dict[str, float | None]:
        """Return the limits of one attempt, as httpx's request extension `timeout`."""
        silence, connect = self.silence * time_limit_factor(), self.connect * time_limit_factor()
        return {"connect": connect, "read": silence, "write": silence, "pool": None}


def time_limit_factor() -> float:
    """Return the factor of all limits, by default 1."""
    return float(os.environ.get("AWS_TIME_LIMIT_FACTOR") or 1)


DEADLINES = {
    "dynamodb": Deadline(total=9, silence=4, connect=2),
    # A job's completion is recorded by then, and its caller waits.
    "events": Deadline(total=2, silence=1.5, connect=1.5),
    "s3": Deadline(total=20, silence=8, connect=3),
    "sqs": Deadline(total=5, silence=2, connect=2),
    "ssm": Deadline(total=9, silence=4, connect=2),
}
"""The time limits of each service."""


@asynccontextmanager
async def time_limit(seconds: float, failure: str) -> AsyncIterator[None]:
    """Limit the time of a block with calls to AWS, where the caller cannot wait as long as `DEADLINES` allow.

    Args:
        seconds: the limit.
        failure: what was not done, as a sentence without its full stop.

    Raises:
        StorageUnavailable: the block took longer.
    """
    seconds *= time_limit_factor()
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StorageUnavailable(f"{failure}: no response within {seconds:g} s", retry_after=1) from None
