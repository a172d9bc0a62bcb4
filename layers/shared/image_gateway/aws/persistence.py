"""Storing of what must not be lost: images, records and results of jobs whose engine may have been paid.

An AWS client sends a request again for less than a second or two, because a caller waits for it. After an engine was
paid, a failure is more expensive than waiting: `persist` continues for as long as the invocation has time.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from image_gateway.aws.errors import AwsError, NoResponse
from image_gateway.errors import StorageUnavailable

Result = TypeVar("Result")
Remaining = Callable[[], float]
"""Returns the seconds that are left."""

MIN_ATTEMPT_SECONDS = 1.5
"""How long the first attempt may take, even if no time is left."""
_FIRST_PAUSE_SECONDS = 0.25
_MAX_PAUSE_SECONDS = 10.0
_MAX_ATTEMPTS_IF_PERMANENT = 4


async def persist(
    store: Callable[[], Awaitable[Result]],
    remaining: Remaining,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Result:
    """Call `store`, and again after pauses while it fails and time is left. The pauses grow, and have jitter.

    Failures that look permanent, such as a denied access, end this after a few attempts.

    Args:
        store: stores something. A second call must do no harm if the first one was successful.
        remaining: returns the seconds that are left for this. A call that takes longer is canceled.
        sleep: waits for a number of seconds.

    Raises:
        AwsError, StorageUnavailable: the last call failed, or took too long.
    """
    attempts, longest_pause = 0, _FIRST_PAUSE_SECONDS
    while True:
        attempts += 1
        try:
            async with asyncio.timeout(max(remaining(), MIN_ATTEMPT_SECONDS)) as limit:
                return await store()
        except TimeoutError:
            if not limit.expired():
                raise
            raise NoResponse("Timeout", "there was no response in time") from None
        except (AwsError, StorageUnavailable) as error:
            pause = longest_pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
            if pause >= remaining() or (attempts >= _MAX_ATTEMPTS_IF_PERMANENT and not _is_transient(error)):
                raise
        await sleep(pause)
        longest_pause = min(longest_pause * 2, _MAX_PAUSE_SECONDS)


def _is_transient(error: AwsError | StorageUnavailable) -> bool:
    cause = error if isinstance(error, AwsError) else error.__cause__
    return cause.transient if isinstance(cause, AwsError) else True
