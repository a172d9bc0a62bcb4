"""An event loop's time, put forward by tests: no timeout has to be waited for, and none runs out by itself."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class LoopTime:
    """The time of one event loop. Its timers run out when a test says so, long before they would by themselves."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._real = loop.time
        self._ahead = 0.0

    def now(self) -> float:
        """The loop's time, in seconds."""
        return self._real() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the time forward; called from any thread."""
        self._ahead += seconds
        # The loop may be waiting for a timer of before.
        self._loop.call_soon_threadsafe(lambda: None)


@contextmanager
def time_of(loop: asyncio.AbstractEventLoop) -> Iterator[LoopTime]:
    """Take over a loop's time for the life of the block."""
    made = LoopTime(loop)
    loop.time = made.now  # type: ignore[method-assign]  # what timers ask
    try:
        yield made
    finally:
        del loop.time  # the class's own is there again
