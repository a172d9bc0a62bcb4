"""Waiting for what other threads and processes do. The deadline only keeps a defect from hanging the tests."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

DEADLINE_SECONDS = 60.0
_PAUSE_SECONDS = 0.005

LONG = 600.0
"""A latency in seconds that no test waits for."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, while this event loop goes on."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(_PAUSE_SECONDS)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, while this thread does nothing else."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def meanwhile(action: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread, beside the block; what it raises is raised at the block's end."""
    with ThreadPoolExecutor(1) as threads:
        doing = threads.submit(action)
        yield
        doing.result()
