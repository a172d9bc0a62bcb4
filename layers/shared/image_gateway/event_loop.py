"""The event loop of the process.

A Lambda environment handles one event after another, and the connections of a shared `httpx.AsyncClient` are bound to
the loop that they were opened on. So the process has one loop, which is created at its first use and is never closed.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of the process, created at the first call, and set it as the current loop of this thread."""
    global _loop  # noqa: PLW0603 - one loop per process
    if _loop is None:
        _loop = asyncio.new_event_loop()
    asyncio.set_event_loop(_loop)
    return _loop


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run `coroutine` to its end on the loop of the process, and return its result."""
    return event_loop().run_until_complete(coroutine)


_loop: asyncio.AbstractEventLoop | None = None
