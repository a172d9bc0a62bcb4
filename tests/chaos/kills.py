"""SIGKILL to processes of functions, at random moments: at some time, or at one of their requests to AWS."""

import asyncio
import os
import random
import signal
from contextlib import suppress

from sandbox.lambda_service import LambdaService
from tests.chaos.proxy import AwsRequest, FaultProxy

FUNCTIONS = {"WorkerFunction": 4, "GenerateFunction": 2, "EditFunction": 1}
"""The functions whose processes are killed, and how often each is chosen."""

_PAUSE_SECONDS = (0.1, 0.9)
_MAX_WAIT_SECONDS = 3.0
_MAX_REQUESTS = 14
"""About as many requests as a function sends for a job."""
_POLL_SECONDS = 0.01


class Killer:
    """Kills processes that handle an event.

    Args:
        functions: the functions' processes.
        proxy: sees their requests.
        chance: the source of random numbers.

    Attributes:
        kills: how many processes were killed.
        pace: by how much the pauses between kills are multiplied.
    """

    def __init__(self, functions: LambdaService, proxy: FaultProxy, chance: random.Random) -> None:
        self._functions = functions
        self._chance = chance
        self.kills = 0
        self.pace = 1.0
        # What is left to wait for: a function, the number of its requests, and whether the last one is executed.
        self._target: tuple[str, int, bool] | None = None
        self._struck = asyncio.Event()
        proxy.before.append(lambda request: self._observe(request, executed=False))
        proxy.after.append(lambda request: self._observe(request, executed=True))

    async def run(self, kills: int) -> None:
        """Kill processes, one after another, until so many were killed."""
        while self.kills < kills:
            await asyncio.sleep(self._chance.uniform(*_PAUSE_SECONDS) * self.pace)
            (name,) = self._chance.choices(list(FUNCTIONS), list(FUNCTIONS.values()))
            if self._chance.random() < 0.5:
                await self._kill_at_some_time(name)
            else:
                await self._kill_at_a_request(name)

    async def _kill_at_some_time(self, name: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_MAX_WAIT_SECONDS):
                while not self._functions.busy_pids(name):  # noqa: ASYNC110 - nothing reports it
                    await asyncio.sleep(_POLL_SECONDS)
        await asyncio.sleep(self._chance.uniform(0, 0.8))
        if pids := self._functions.busy_pids(name):
            self._kill(self._chance.choice(pids))

    async def _kill_at_a_request(self, name: str) -> None:
        self._struck.clear()
        self._target = (name, self._chance.randrange(_MAX_REQUESTS), self._chance.random() < 0.5)
        with suppress(TimeoutError):
            async with asyncio.timeout(_MAX_WAIT_SECONDS):
                await self._struck.wait()
        self._target = None

    def _observe(self, request: AwsRequest, *, executed: bool) -> bool:
        """Kill the sender of a request if that is the target. Return whether it was killed."""
        if self._target is None:
            return False
        name, left, after = self._target
        if executed is not after or request.pid not in self._functions.busy_pids(name):
            return False
        if left:
            self._target = (name, left - 1, after)
            return False
        self._target = None
        self._kill(request.pid)
        self._struck.set()
        return True

    def _kill(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
