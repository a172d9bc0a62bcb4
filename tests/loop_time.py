"""An event loop's time under a test's control, so that tests of timeouts do not wait for them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class LoopTime:
    """The time of one event loop. A test advances it, so that the loop's timers fire early.

    Args:
        loop: the event loop.
        stopped: whether time passes only as the test advances it, whatever the computer does meanwhile.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, stopped: bool = False) -> None:
        self._loop = loop
        self._real_time = loop.time
        self._stopped_at = loop.time() if stopped else None
        self._offset_seconds = 0.0

    def now(self) -> float:
        """Return the loop's time in seconds."""
        real = self._real_time() if self._stopped_at is None else self._stopped_at
        return real + self._offset_seconds

    def advance(self, seconds: float) -> None:
        """Put the time forward. It may be called from any thread."""
        self._offset_seconds += seconds
        # Wakes the loop, which may be waiting for a timer by the old time.
        self._loop.call_soon_threadsafe(lambda: None)


@contextmanager
def controlled_time(loop: asyncio.AbstractEventLoop, *, stopped: bool = False) -> Iterator[LoopTime]:
    """Replace a loop's time for the duration of the block. The arguments are those of `LoopTime`."""
    loop_time = LoopTime(loop, stopped=stopped)
    loop.time = loop_time.now  # type: ignore[method-assign]  # timers call it
    try:
        yield loop_time
    finally:
        del loop.time  # restores the class's method
