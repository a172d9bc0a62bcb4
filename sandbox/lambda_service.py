"""The Lambda service: invokes functions by name in execution environments, which it starts and reuses."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from sandbox.fork_server import ForkServer
from sandbox.lambda_environment import Environment
from sandbox.template import ROOT, Function


class LambdaService:
    """Invokes the functions of a template, each in as many environments as it has simultaneous events.

    Args:
        functions: the functions that can be invoked.
        variables: environment variables for all functions.
        log: the file for the functions' stdout and stderr.
        concurrency: the maximum number of environments for one function; further events wait.
        cwd: the folder that the handlers are imported from.
        fork_server: starts the environments' processes, with its own log and folder; None: each starts alone.
    """

    def __init__(
        self,
        functions: list[Function],
        variables: dict[str, str],
        log: IO[bytes] | int,
        *,
        concurrency: int = 8,
        cwd: Path = ROOT,
        fork_server: ForkServer | None = None,
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._variables = variables
        self._log = log
        self._cwd = cwd
        self._fork_server = fork_server
        self._capacity = {name: asyncio.Semaphore(concurrency) for name in self._functions}
        self._idle: dict[str, list[Environment]] = {name: [] for name in self._functions}
        self._busy: dict[str, list[Environment]] = {name: [] for name in self._functions}
        self._started: list[Environment] = []
        self._invocations: set[asyncio.Task[Any]] = set()

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Run a function with an event in a warm environment, or in a new one, and return its response.

        As on AWS, the function continues when its caller gives up.

        Raises:
            FunctionError: as `Environment.invoke`.
        """
        invocation = asyncio.create_task(self._run(name, event))
        self._invocations.add(invocation)
        invocation.add_done_callback(self._completed)
        return await asyncio.shield(invocation)

    async def warm(self, names: Iterable[str]) -> None:
        """Start one environment for each of these functions."""
        for name in names:
            self._idle[name].append(await self._new(name))

    def busy_pids(self, name: str) -> list[int]:
        """Return the process ids of a function's environments that are handling an event."""
        return [environment.pid for environment in self._busy[name] if environment.alive]

    async def stop(self) -> None:
        """Cancel all invocations and kill all processes."""
        for invocation in self._invocations:
            invocation.cancel()
        await asyncio.gather(*self._invocations, return_exceptions=True)
        await asyncio.gather(*(environment.stop() for environment in self._started))

    async def _run(self, name: str, event: dict[str, Any]) -> Any:
        async with self._capacity[name]:
            environment = await self._environment(name)
            self._busy[name].append(environment)
            try:
                return await environment.invoke(event)
            finally:
                self._busy[name].remove(environment)
                self._idle[name].append(environment)

    def _completed(self, invocation: asyncio.Task[Any]) -> None:
        self._invocations.discard(invocation)
        if not invocation.cancelled():
            invocation.exception()  # retrieved, or asyncio would log it: the caller may have given up

    async def _environment(self, name: str) -> Environment:
        while self._idle[name]:
            environment = self._idle[name].pop()
            if environment.alive:
                return environment
        return await self._new(name)

    async def _new(self, name: str) -> Environment:
        environment = Environment(
            self._functions[name], self._variables, self._log, cwd=self._cwd, fork_server=self._fork_server
        )
        self._started.append(environment)
        await environment.start()
        return environment
