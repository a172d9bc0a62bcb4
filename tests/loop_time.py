"""An event loop's time under a test's control, so that tests of timeouts do not wait for them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class LoopTime:
    """The time of one event loop. A test advances it, so that the loop's timers fire early."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._real_time = loop.time
        self._offset_seconds = 0.0

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return self._real_time() + self._offset_seconds

    def advance(self, seconds: float) -> None:
        """Put the time forward. It may be called from any thread."""
        self._offset_seconds += seconds
        # Wakes the loop, which may be waiting for a timer by the old time.
        self._loop.call_soon_threadsafe(lambda: None)


@contextmanager
def controlled_time(loop: asyncio.AbstractEventLoop) -> Iterator[LoopTime]:
    """Replace a loop's time for the duration of the block."""
    loop_time = LoopTime(loop)
    loop.time = loop_time.now  # type: ignore[method-assign]  # timers call it
    try:
        yield loop_time
    finally:
        del loop.time  # restores the class's method
