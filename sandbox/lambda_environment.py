"""Lambda functions as Lambda runs them: processes of the real runtime client, each taking one event at a time.

The runtime client (`awslambdaric`) asks a Runtime API for events and posts its answers there; the stand-in here speaks
that protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.servers import HttpServer
from sandbox.template import ROOT, Function

MAX_PAYLOAD = 6 * 2**20
"""Lambda's limit for a synchronous event and its answer, in bytes (6 MB)."""


class FunctionError(Exception):
    """The function failed, ran out of time or gave too much: what API Gateway turns into a 5xx."""


@dataclass(frozen=True)
class Invocation:
    """One event on its way through an environment."""

    id: str
    event: bytes
    deadline_ms: int
    done: "asyncio.Future[bytes]"


class Environment:
    """One execution environment: a process and the Runtime API it asks.

    Args:
        function: what to run.
        variables: further environment variables, such as where AWS is.
        log: where the process writes.
        command: how to start the runtime client; the handler is added.
        cwd: the folder the handler is imported from.
    """

    def __init__(
        self,
        function: Function,
        variables: dict[str, str],
        log: IO[bytes] | int,
        *,
        command: tuple[str, ...] = (sys.executable, "-m", "awslambdaric"),
        cwd: Path = ROOT,
    ) -> None:
        self._function = function
        self._variables = variables
        self._log = log
        self._command = command
        self._cwd = cwd
        self._waiting: asyncio.Queue[Invocation] = asyncio.Queue()
        self._current: Invocation | None = None
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None
        self._cancel_watch: asyncio.Task[None] | None = None
        self._end = ""

    @property
    def alive(self) -> bool:
        """Whether the process runs and can take another event."""
        return self._process is not None and self._process.returncode is None and not self._end

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None  # noqa: S101 - asked of a started environment
        return self._process.pid

    async def start(self) -> None:
        """Start the process and its Runtime API."""
        server = await self._stack.enter_async_context(HttpServer(self._runtime_api()))
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            self._function.handler,
            cwd=self._cwd,
            env=self._environment(server.port),
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._cancel_watch = asyncio.create_task(self._wait())

    async def invoke(self, event: dict[str, Any]) -> Any:
        """Hand an event to the function and give its answer.

        Raises:
            FunctionError: it failed, died, took longer than its timeout or answered more than `MAX_PAYLOAD`.
        """
        if not self.alive:
            raise FunctionError(self._end)
        payload = json.dumps(event).encode()
        deadline = int((time.time() + self._function.timeout) * 1000)
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._current = Invocation(str(uuid.uuid4()), payload, deadline, done)
        self._waiting.put_nowait(self._current)
        try:
            return json.loads(await asyncio.wait_for(done, self._function.timeout))
        except TimeoutError:
            await self.stop()
            raise FunctionError(f"Task timed out after {self._function.timeout} seconds") from None
        finally:
            self._current = None

    async def stop(self) -> None:
        """Kill the process and close its Runtime API."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        if self._cancel_watch:
            await self._cancel_watch
        await self._stack.aclose()

    async def _wait(self) -> None:
        assert self._process is not None  # noqa: S101 - started just before
        status = await self._process.wait()
        self._close(self._end or f"the environment ended with status {status}")

    def _environment(self, port: int) -> dict[str, str]:
        name = self._function.name
        return {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{self._function.runtime}",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._function.memory),
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "LAMBDA_TASK_ROOT": str(self._cwd),
            **self._variables,
            **self._function.environment,
        }

    def _runtime_api(self) -> Starlette:
        async def next_event(request: Request) -> Response:
            take = asyncio.ensure_future(self._waiting.get())
            gone = asyncio.ensure_future(request.receive())
            while not take.done():
                await asyncio.wait({take, gone}, return_when=asyncio.FIRST_COMPLETED)
                if gone.done() and gone.result()["type"] == "http.disconnect":
                    take.cancel()
                    return Response(status_code=410)
                if gone.done():
                    gone = asyncio.ensure_future(request.receive())
            gone.cancel()
            invocation = take.result()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": (
                    f"arn:aws:lambda:eu-central-1:123456789012:function:{self._function.name}"
                ),
            }
            return Response(invocation.event, headers=headers, media_type="application/json")

        async def answered(request: Request) -> Response:
            body = await request.body()
            if len(body) > MAX_PAYLOAD:
                # The runtime client takes this refusal as the end of its process.
                self._close(f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD} bytes).")
                return JSONResponse({"errorType": "RequestEntityTooLarge"}, 413)
            if self._current and not self._current.done.done():
                self._current.done.set_result(body)
            return JSONResponse({"status": "OK"}, 202)

        async def failed(request: Request) -> Response:
            self._fail((await request.body()).decode(errors="replace"))
            return JSONResponse({"status": "OK"}, 202)

        async def failed_to_start(request: Request) -> Response:
            self._close((await request.body()).decode(errors="replace"))
            return JSONResponse({"status": "OK"}, 202)

        prefix = "/2018-06-01/runtime"
        return Starlette(
            routes=[
                Route(f"{prefix}/invocation/next", next_event, methods=["GET"]),
                Route(f"{prefix}/invocation/{{id}}/response", answered, methods=["POST"]),
                Route(f"{prefix}/invocation/{{id}}/error", failed, methods=["POST"]),
                Route(f"{prefix}/init/error", failed_to_start, methods=["POST"]),
            ]
        )

    def _fail(self, reason: str) -> None:
        if self._current and not self._current.done.done():
            self._current.done.set_exception(FunctionError(reason))

    def _close(self, reason: str) -> None:
        """Take no more events: the process has ended, or is about to."""
        self._end = reason
        self._fail(reason)


class LambdaService:
    """The functions of a template, with as many environments as events that are there at once.

    Args:
        functions: what can be invoked.
        variables: environment variables for all of them.
        log: where the functions write.
        concurrency: the most environments of one function; more events wait for their turn.
        cwd: the folder the handlers are imported from.
    """

    def __init__(
        self,
        functions: list[Function],
        variables: dict[str, str],
        log: IO[bytes] | int,
        *,
        concurrency: int = 8,
        cwd: Path = ROOT,
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._variables = variables
        self._log = log
        self._cwd = cwd
        self._turns = {name: asyncio.Semaphore(concurrency) for name in self._functions}
        self._idle: dict[str, list[Environment]] = {name: [] for name in self._functions}
        self._busy: dict[str, list[Environment]] = {name: [] for name in self._functions}
        self._started: list[Environment] = []
        self._running: set[asyncio.Task[Any]] = set()

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Run one event through a warm environment, or a new one.

        As on AWS the function goes on when its caller gives up.

        Raises:
            FunctionError: as `Environment.invoke`.
        """
        running = asyncio.create_task(self._run(name, event))
        self._running.add(running)
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    async def warm(self, names: Iterable[str]) -> None:
        """Start one environment of each of these functions."""
        for name in names:
            self._idle[name].append(await self._new(name))

    def at_work(self, name: str) -> list[int]:
        """The ids of a function's processes that have an event right now."""
        return [environment.pid for environment in self._busy[name] if environment.alive]

    async def stop(self) -> None:
        """End every event that is under way, and every process."""
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(environment.stop() for environment in self._started))

    async def _run(self, name: str, event: dict[str, Any]) -> Any:
        async with self._turns[name]:
            environment = await self._environment(name)
            self._busy[name].append(environment)
            try:
                return await environment.invoke(event)
            finally:
                self._busy[name].remove(environment)
                self._idle[name].append(environment)

    def _ended(self, running: asyncio.Task[Any]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # seen: a caller that gave up does not ask for it any more

    async def _environment(self, name: str) -> Environment:
        while self._idle[name]:
            environment = self._idle[name].pop()
            if environment.alive:
                return environment
        return await self._new(name)

    async def _new(self, name: str) -> Environment:
        environment = Environment(self._functions[name], self._variables, self._log, cwd=self._cwd)
        self._started.append(environment)
        await environment.start()
        return environment
