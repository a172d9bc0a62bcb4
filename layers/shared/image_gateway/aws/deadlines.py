"""How long calls to AWS may take, with all their attempts.

API Gateway cuts off a request after 30 s. So a service that accepts connections and stays silent must fail a call early
enough for an error response, or for a response without what failed.
"""

import asyncio
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
        return self.total + body_bytes / _BYTES_PER_SECOND


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
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise StorageUnavailable(f"{failure}: no response within {seconds:g} s", retry_after=1) from None
