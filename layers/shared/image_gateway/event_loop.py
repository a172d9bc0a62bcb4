"""The one event loop of the process.

A Lambda environment handles one event after another, and connections kept by a shared `httpx.AsyncClient` die with the
loop they were made on. So there is one loop, made on import, for the life of the process.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def event_loop() -> asyncio.AbstractEventLoop:
    """The process's loop, made when first asked for, and set as the current one of this thread."""
    global _loop  # noqa: PLW0603 - one for the process is the point
    if _loop is None:
        _loop = asyncio.new_event_loop()
    asyncio.set_event_loop(_loop)
    return _loop


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` on the process's loop to its end."""
    return event_loop().run_until_complete(work)


_loop: asyncio.AbstractEventLoop | None = None
