"""The GPU of the AUTOMATIC1111 sandbox, which handles one request at a time, and its `/progress`.

As in A1111's `modules/shared_state.py`: other requests wait inside the server, a request is completed although its
client has disconnected, and an interruption is forgotten when the next request begins.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from sandbox.engines.state import elapsed


class Gpu:
    """The only GPU of the server. `seconds` returns the minimum time of a request, in seconds."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._job = ""
        self._count = 0
        self._steps = 0
        self._started = 0.0
        self._timestamp = "0"

    @asynccontextmanager
    async def turn(self, job: str, count: int, steps: int) -> AsyncIterator[None]:
        """Wait for the GPU and hold it for the block, which makes `count` images of `steps` steps each."""
        async with self._turn:
            self._stop.clear()
            self._job, self._count, self._steps = job, count, steps
            self._started = time.monotonic()
            self._timestamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
            try:
                yield
            finally:
                self._job, self._count = "", 0

    async def work(self) -> bool:
        """Wait for the time of a request. Returns whether it was interrupted."""
        return await elapsed(self._seconds, self._stop)

    def interrupt(self) -> None:
        """Interrupt the current request."""
        self._stop.set()

    def progress(self) -> dict[str, Any]:
        """Return the response of `/progress`. `job_count` is 0 while no request is handled."""
        taken, needs = time.monotonic() - self._started, self._seconds()
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
