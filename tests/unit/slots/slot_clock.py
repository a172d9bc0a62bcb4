"""A clock under a test's control, for renewals that run in the background."""

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.polling import until

START = 1_800_000_000.0


@dataclass(eq=False)
class _Sleeper:
    wakes_at: float
    woken: "asyncio.Future[None]"
    task: "asyncio.Task[Any] | None"


class SlotClock:
    """A clock that stands still until a test advances it. Tasks that sleep are woken in the order of their times."""

    def __init__(self) -> None:
        self.seconds = START
        self._sleepers: list[_Sleeper] = []

    def now(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        sleeper = _Sleeper(self.seconds + seconds, woken, asyncio.current_task())
        self._sleepers.append(sleeper)
        try:
            await woken
        finally:
            self._sleepers.remove(sleeper)

    async def advance(self, seconds: float) -> None:
        """Let time pass. Each task that wakes up runs until it sleeps again, or until it is done."""
        end = self.seconds + seconds
        while due := [sleeper for sleeper in self._sleepers if sleeper.wakes_at <= end]:
            first = min(due, key=lambda sleeper: sleeper.wakes_at)
            self.seconds = max(self.seconds, first.wakes_at)
            first.woken.set_result(None)
            await until(lambda: first not in self._sleepers and self._rests(first.task))  # noqa: B023 - awaited here
        self.seconds = end

    def _rests(self, task: "asyncio.Task[Any] | None") -> bool:
        return task is None or task.done() or any(sleeper.task is task for sleeper in self._sleepers)
