"""What the AUTOMATIC1111 sandbox is at, one thing at a time, and what its `/progress` tells of it.

As A1111's `modules/shared_state.py` has it: who comes meanwhile waits inside the server, what was asked for is made
although its caller went away, and an interruption is forgotten as soon as the next thing begins.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sandbox.engines.state import elapsed


class Machine:
    """The one graphics card of the server. `seconds` says how long it thinks about a request at least."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._job = ""
        self._count = 0
        self._steps = 0
        self._begun = 0.0
        self._timestamp = "0"

    @asynccontextmanager
    async def turn(self, job: str, count: int, steps: int) -> AsyncIterator[None]:
        """Wait for a turn, and have it for the block: for `count` images of `steps` steps each."""
        async with self._turn:
            self._stop.clear()
            self._job, self._count, self._steps = job, count, steps
            self._begun = time.monotonic()
            self._timestamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
            try:
                yield
            finally:
                self._job, self._count = "", 0

    async def think(self) -> bool:
        """Take as long as a request takes; True if it was interrupted."""
        return await elapsed(self._seconds, self._stop)

    def interrupt(self) -> None:
        """Stop what is made now, whosever it is."""
        self._stop.set()

    def progress(self) -> dict[str, Any]:
        """As `/progress` answers; `job_count` is 0 where nothing is made."""
        taken, needs = time.monotonic() - self._begun, self._seconds()
        done = min(1.0, 0.01 + taken / needs if needs else 1.0) if self._count else 0.0
        state = {
            "skipped": False,
            "interrupted": self._stop.is_set(),
            "stopping_generation": False,
            "job": self._job,
            "job_count": self._count,
            "job_timestamp": self._timestamp,
            "job_no": int(self._count * min(done, 0.99)),
            "sampling_step": int(self._steps * done),
            "sampling_steps": self._steps,
        }
        left = taken / done - taken if done else 0.0
        return {"progress": done, "eta_relative": left, "state": state, "current_image": None, "textinfo": None}
