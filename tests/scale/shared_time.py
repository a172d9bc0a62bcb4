"""A time that many coroutines share, which passes at once."""

import asyncio
import heapq
from collections.abc import Coroutine, Iterable
from itertools import count
from typing import Any


class SharedTime:
    """The time of many coroutines, in seconds. It passes only while all of them sleep, so no server is too slow."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait until `seconds` have passed."""
        wakes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), wakes))
        await wakes

    async def run(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Run coroutines until all are done."""
        tasks = [asyncio.create_task(coroutine) for coroutine in work]
        while running := sum(not task.done() for task in tasks):
            if len(self._sleepers) == running:
                self.now, _, wakes = heapq.heappop(self._sleepers)
                wakes.set_result(None)
            await asyncio.sleep(0.0002)  # a server works
        await asyncio.gather(*tasks)
