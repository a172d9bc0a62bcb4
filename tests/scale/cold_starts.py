"""Cold starts while Parameter Store throttles, each of which reads the configuration once.

Each has its own client for AWS and its own cache, and as much time as a request has at API Gateway. They are real
processes, or run in this process in a time that passes at once: then a busy computer changes nothing.
"""

import asyncio
import json
import os
import random
import ssl
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.scale.shared_time import SharedTime

REQUEST_SECONDS = 22.0
"""How long a request may wait for the configuration: see `jobs.submission`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a process's first request can respond with: 200 or an error's status, and after how many seconds."""

    status: int
    seconds: float


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return a line about outcomes: how many there are of each status, and how long they took."""
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(Counter(o.status for o in outcomes).items()))
    seconds = sorted(outcome.seconds for outcome in outcomes)
    p99 = seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))]
    return f"{statuses}; seconds: p50 {statistics.median(seconds):.1f}, p99 {p99:.1f}, longest {seconds[-1]:.1f}"


class Package:
    """A version of the package, with what a function has loaded before its first request.

    Args:
        code: a checkout of the repository.
    """

    def __init__(self, code: Path) -> None:
        sys.path.insert(0, str(code / "layers/shared"))
        self._aws = import_module("image_gateway.aws")
        self._reader = import_module("image_gateway.config.reader")
        self._stored = import_module("image_gateway.config.stored")
        self._errors = import_module("image_gateway.errors")
        self._settings = import_module("image_gateway.settings").Settings(
            config_parameter="/image-gateway/scale/config", bucket="scale", table="scale"
        )
        self._tls = ssl.create_default_context()

    async def first_read(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Outcome:
        """Read the configuration as a new process does."""
        aws = self._aws.Aws(lambda: self._aws.create_transport(self._tls), sleep=sleep)
        stored = self._stored.StoredConfig(aws, self._settings)
        reader = self._reader.ConfigReader(stored, self._settings, clock=clock, sleep=sleep)
        started, status = clock(), 200
        try:
            await reader.read(lambda: started + REQUEST_SECONDS - clock())
        except self._errors.GatewayError as error:
            status = error.status
        await aws.aclose()
        return Outcome(status, clock() - started)


async def simulate(count: int, within: float, package: Package, time: SharedTime) -> list[Outcome]:
    """Start processes at random moments of a simulated time, and return the outcome of each one's first read."""
    outcomes: list[Outcome] = []

    async def start(moment: float) -> None:
        await time.sleep(moment)
        outcomes.append(await package.first_read(time, time.sleep))

    await time.run([start(random.uniform(0, within)) for _ in range(count)])
    return outcomes


def start_processes(count: int, within: float, package: Package) -> list[Outcome]:
    """Let processes read at random moments, and return the outcome of each one's first read.

    They are forked before the first of these moments, when the code is loaded and nothing has been read. So a small or
    busy computer does not spread them over a longer time.

    Args:
        count: how many processes there are.
        within: seconds in which they read.
        package: what they read with.
    """
    starting, start = os.pipe()
    children: list[tuple[int, int]] = []
    for _ in range(count):
        moment = random.uniform(0, within)
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.close(start)
            os.read(starting, 1)  # returns when the last copy of `start` is closed
            time.sleep(moment)
            outcome = asyncio.run(package.first_read())
            os.write(writer, json.dumps([outcome.status, outcome.seconds]).encode())
            os._exit(0)
        os.close(writer)
        children.append((child, reader))
    os.close(start)
    return [_outcome(*child) for child in children]


def _outcome(child: int, reader: int) -> Outcome:
    with os.fdopen(reader) as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return Outcome(*json.loads(content)) if content else Outcome(0, 0.0)
