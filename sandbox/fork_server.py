"""Starts functions by fork, from one process that has imported what they share.

Alone, a function takes 0.4 s of CPU time to start, nearly all of it for imports that all functions have in common. By
fork it takes 0.05 s. The runtime client and the function itself are imported after the fork, when the process has its
own environment variables.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from sandbox.errors import SandboxError
from sandbox.template import ROOT

SHARED_MODULES = ("image_gateway.cold_start", "image_gateway.container", "image_gateway.api")
"""What the functions share, in the order in which they import it."""

_ENDED = "The process that starts the functions has ended"


def base_variables() -> dict[str, str]:
    """Return the environment variables that do not depend on the function."""
    return {"PATH": os.environ.get("PATH", ""), "LANG": "en_US.UTF-8", "TZ": ":UTC"}


class ForkedProcess(NamedTuple):
    """A function's process: its id and, when it has ended, its status, which is negative for a signal."""

    pid: int
    status: asyncio.Future[int]


class ForkServer:
    """Starts functions' processes during an `async with` block. Those that still run at its end are killed.

    Args:
        log: the file for the processes' stdout and stderr.
        modules: what is imported before the forks.
        cwd: the folder that handlers are imported from.
    """

    def __init__(self, log: IO[bytes] | int, *, modules: Sequence[str] = SHARED_MODULES, cwd: Path = ROOT) -> None:
        self._log = log
        self._modules = modules
        self._cwd = cwd
        self._ids = itertools.count()
        self._starting: dict[int, asyncio.Future[ForkedProcess]] = {}
        self._running: dict[int, ForkedProcess] = {}

    async def __aenter__(self) -> Self:
        """Start the process that imports the modules. Nothing waits for it but the first start."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sandbox.fork_server_process", *self._modules),
            cwd=self._cwd,
            env=base_variables(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._reports = asyncio.create_task(self._read_reports())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process and those that it has started."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._reports
        await self._process.wait()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    async def start(self, handler: str, variables: dict[str, str]) -> ForkedProcess:
        """Start the runtime client for a handler, with these environment variables and no others.

        Raises:
            SandboxError: the server has ended.
        """
        if self._reports.done():
            raise SandboxError(_ENDED)
        key = next(self._ids)
        started: asyncio.Future[ForkedProcess] = asyncio.get_running_loop().create_future()
        self._starting[key] = started
        request = {"id": key, "handler": handler, "variables": variables}
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        try:
            return await asyncio.shield(started)
        except asyncio.CancelledError:
            # It ends before its Runtime API does, so that it does not log that.
            await asyncio.wait({started})
            if not started.exception():
                _kill(started.result().pid)
            raise

    async def _read_reports(self) -> None:
        """Read what the process reports. Its output ends when it has ended, and all that it started have reported."""
        loop = asyncio.get_running_loop()
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        async for line in self._process.stdout:
            report = json.loads(line)
            pid = report["pid"]
            if "status" in report:
                self._running.pop(pid).status.set_result(report["status"])
                continue
            self._running[pid] = ForkedProcess(pid, loop.create_future())
            self._starting.pop(report["id"]).set_result(self._running[pid])
        for started in self._starting.values():
            started.set_exception(SandboxError(_ENDED))
        for process in self._running.values():
            _kill(process.pid)
            process.status.set_result(-signal.SIGKILL)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
