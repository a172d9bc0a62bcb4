"""Cold starts while Parameter Store throttles: real processes, each of which reads the configuration once.

A process is forked when the code is loaded and nothing has been read, so that hundreds can start in a second on a small
computer. Each has its own client for AWS and its own cache, and as much time as a request has at API Gateway.
"""

import asyncio
import inspect
import json
import os
import random
import ssl
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

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


def start_processes(count: int, within: float, code: Path) -> list[Outcome]:
    """Start processes at random moments, and return the outcome of each one's first read.

    Args:
        count: how many to start.
        within: seconds in which they start.
        code: a checkout of the repository, whose package they use.
    """
    sys.path.insert(0, str(code / "layers/shared"))
    parts = _Parts()
    moments = sorted(random.uniform(0, within) for _ in range(count))
    started = time.monotonic()
    children: list[tuple[int, int]] = []
    for moment in moments:
        time.sleep(max(0.0, started + moment - time.monotonic()))
        reader, writer = os.pipe()
        if (child := os.fork()) == 0:
            os.write(writer, json.dumps(asyncio.run(parts.read())).encode())
            os._exit(0)
        os.close(writer)
        children.append((child, reader))
    return [_outcome(*child) for child in children]


def _outcome(child: int, reader: int) -> Outcome:
    with os.fdopen(reader) as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return Outcome(*json.loads(content)) if content else Outcome(0, 0.0)


class _Parts:
    """What a function has loaded before its first request: the package, and the certificates."""

    def __init__(self) -> None:
        self._aws = import_module("image_gateway.aws")
        self._locks = import_module("image_gateway.aws.locks")
        self._store = import_module("image_gateway.config.store")
        self._errors = import_module("image_gateway.errors")
        self._settings = import_module("image_gateway.settings").Settings(
            config_parameter="/image-gateway/scale/config", bucket="scale", table="scale"
        )
        self._tls = ssl.create_default_context()

    async def read(self) -> tuple[int, float]:
        """Read the configuration, and return the fields of the outcome."""
        aws = self._aws.Aws(lambda: self._aws.create_transport(self._tls))
        store: Any = self._store.ConfigStore(aws, self._settings, self._locks.Locks(aws, self._settings))
        started = time.monotonic()
        # Earlier versions wait for as long as they think fit.
        takes_time = "remaining" in inspect.signature(store.read).parameters
        remaining = [lambda: started + REQUEST_SECONDS - time.monotonic()] if takes_time else []
        try:
            await store.read(*remaining)
        except self._errors.GatewayError as error:
            return error.status, time.monotonic() - started
        return 200, time.monotonic() - started
