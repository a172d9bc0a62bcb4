"""Waiting for what other threads and processes do. The deadline only keeps a defect from hanging the tests."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

DEADLINE_SECONDS = 60.0
_PAUSE_SECONDS = 0.005

LONG = 600.0
"""An engine's latency in seconds that is longer than any test."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true, while this event loop continues to run."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition is still false"
        await asyncio.sleep(_PAUSE_SECONDS)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition is true; blocks this thread."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition is still false"
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Run `action` in another thread during the block; its exception is raised at the end of the block."""
    with ThreadPoolExecutor(1) as threads:
        running_action = threads.submit(action)
        yield
        running_action.result()
