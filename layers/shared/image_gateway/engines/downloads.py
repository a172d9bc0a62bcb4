"""Downloads of images that an engine returned by URL: they are paid for, and a short failure loses none."""

from collections.abc import Awaitable, Callable

from image_gateway.errors import EngineError, EngineRateLimited, EngineUnavailable

_FIRST_PAUSE_SECONDS = 0.25
_MAX_PAUSE_SECONDS = 5.0
_MAX_ATTEMPTS = 20


async def download_with_retries(
    download: Callable[[], Awaitable[bytes]],
    seconds_left: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> bytes:
    """Call `download`, and again after growing pauses while it fails temporarily and time is left.

    Args:
        download: returns the image. A temporary failure is an `EngineUnavailable` or `EngineRateLimited` without cost.
        seconds_left: returns the seconds that are left for this.
        sleep: waits for a number of seconds.

    Raises:
        EngineError: the last call failed. It may have cost, because the image is paid for, though its download is free.
    """
    pause = _FIRST_PAUSE_SECONDS
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        try:
            return await download()
        except EngineError as error:
            is_temporary = isinstance(error, EngineUnavailable | EngineRateLimited)
            wait = max(pause, error.retry_after or 0.0)
            if (
                not is_temporary
                or error.may_have_cost
                or error.permanent
                or attempt == _MAX_ATTEMPTS
                or wait >= seconds_left()
            ):
                error.may_have_cost = True
                raise
        await sleep(wait)
        pause = min(pause * 2, _MAX_PAUSE_SECONDS)
    raise AssertionError("unreachable")
