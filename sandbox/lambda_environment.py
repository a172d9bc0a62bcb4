"""Lambda's execution environment: a process of the real runtime client, which handles one event at a time.

The runtime client (`awslambdaric`) gets events from a Runtime API and posts its responses there. This module implements
that API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.fork_server import ForkServer, base_variables
from sandbox.servers import HttpServer
from sandbox.template import ACCOUNT, REGION, ROOT, Function

_CLIENT = "import sys; sys.modules['click'] = None; from awslambdaric.__main__ import main; main(sys.argv)"
"""Starts the runtime client. `click` is in no layer; where it is installed, httpx loads its command line with it, which
takes an eighth of a function's start."""

MAX_PAYLOAD_BYTES = 6 * 2**20
"""Lambda's limit for a synchronous event, and for its response, in bytes (6 MB)."""


class FunctionError(Exception):
    """The function failed, timed out or returned too large a response. API Gateway turns this into a 5xx."""


@dataclass(frozen=True)
class Invocation:
    """One event of an environment, as JSON. `deadline_ms` is in milliseconds since 1970."""

    id: str
    event: bytes
    deadline_ms: int
    response: "asyncio.Future[bytes]"


class Environment:
    """One execution environment: a process and its Runtime API. `pid` is the process's id; 0 before the start.

    Args:
        function: the function to run.
        variables: further environment variables, such as the endpoint of AWS.
        log: the file for the process's stdout and stderr.
        command: the command that starts the runtime client; the handler's name is appended.
        cwd: the folder that the handler is imported from.
        fork_server: starts the process, with its own log and folder; None: the command does.
    """

    def __init__(
        self,
        function: Function,
        variables: dict[str, str],
        log: IO[bytes] | int,
        *,
        command: tuple[str, ...] = (sys.executable, "-c", _CLIENT),
        cwd: Path = ROOT,
        fork_server: ForkServer | None = None,
    ) -> None:
        self._function = function
        self._variables = variables
        self._log = log
        self._command = command
        self._cwd = cwd
        self._fork_server = fork_server
        self._invocations: asyncio.Queue[Invocation] = asyncio.Queue()
        self._current: Invocation | None = None
        self._stack = AsyncExitStack()
        self.pid = 0
        self._exit_watch: asyncio.Task[None] | None = None
        self._end_reason = ""

    @property
    def alive(self) -> bool:
        """Whether the process is running and can handle another event."""
        return self._exit_watch is not None and not self._end_reason

    async def start(self) -> None:
        """Start the process and its Runtime API."""
        server = await self._stack.enter_async_context(HttpServer(self._runtime_api()))
        handler, variables = self._function.handler, self._environment(server.port)
        if self._fork_server:
            self.pid, status = await self._fork_server.start(handler, variables)
        else:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                handler,
                cwd=self._cwd,
                env=variables,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
            self.pid, status = process.pid, asyncio.ensure_future(process.wait())
        self._exit_watch = asyncio.create_task(self._watch_exit(status))

    async def invoke(self, event: dict[str, Any]) -> Any:
        """Run the function with an event and return its response.

        Raises:
            FunctionError: the function failed or timed out, its process ended, or the response is longer than
                `MAX_PAYLOAD_BYTES`.
        """
        if not self.alive:
            raise FunctionError(self._end_reason)
        payload = json.dumps(event).encode()
        deadline = int((time.time() + self._function.timeout) * 1000)
        response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._current = Invocation(str(uuid.uuid4()), payload, deadline, response)
        self._invocations.put_nowait(self._current)
        try:
            return json.loads(await asyncio.wait_for(response, self._function.timeout))
        except TimeoutError:
            await self.stop()
            raise FunctionError(f"Task timed out after {self._function.timeout} seconds") from None
        finally:
            self._current = None

    async def stop(self) -> None:
        """Kill the process and close its Runtime API."""
        if self._exit_watch:
            if not self._exit_watch.done():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
            await self._exit_watch
        await self._stack.aclose()

    async def _watch_exit(self, status: asyncio.Future[int]) -> None:
        ended_with = await status
        self._close(self._end_reason or f"The environment ended with status {ended_with}")

    def _environment(self, port: int) -> dict[str, str]:
        name = self._function.name
        return {
            **base_variables(),
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
            next_invocation = asyncio.ensure_future(self._invocations.get())
            message = asyncio.ensure_future(request.receive())
            while not next_invocation.done():
                await asyncio.wait({next_invocation, message}, return_when=asyncio.FIRST_COMPLETED)
                if message.done() and message.result()["type"] == "http.disconnect":
                    next_invocation.cancel()
                    return Response(status_code=410)
                if message.done():
                    message = asyncio.ensure_future(request.receive())
            message.cancel()
            invocation = next_invocation.result()
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self._function.name}"
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": arn,
            }
            return Response(invocation.event, headers=headers, media_type="application/json")

        async def response(request: Request) -> Response:
            body = await request.body()
            if len(body) > MAX_PAYLOAD_BYTES:
                # The runtime client ends its process after this refusal.
                self._close(f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes).")
                return JSONResponse({"errorType": "RequestEntityTooLarge"}, 413)
            if self._current and not self._current.response.done():
                self._current.response.set_result(body)
            return JSONResponse({"status": "OK"}, 202)

        async def invocation_error(request: Request) -> Response:
            self._fail((await request.body()).decode(errors="replace"))
            return JSONResponse({"status": "OK"}, 202)

        async def initialization_error(request: Request) -> Response:
            self._close((await request.body()).decode(errors="replace"))
            return JSONResponse({"status": "OK"}, 202)

        prefix = "/2018-06-01/runtime"
        return Starlette(
            routes=[
                Route(f"{prefix}/invocation/next", next_event, methods=["GET"]),
                Route(f"{prefix}/invocation/{{id}}/response", response, methods=["POST"]),
                Route(f"{prefix}/invocation/{{id}}/error", invocation_error, methods=["POST"]),
                Route(f"{prefix}/init/error", initialization_error, methods=["POST"]),
            ]
        )

    def _fail(self, reason: str) -> None:
        if self._current and not self._current.response.done():
            self._current.response.set_exception(FunctionError(reason))

    def _close(self, reason: str) -> None:
        """Accept no more events: the process has ended, or is about to."""
        self._end_reason = reason
        self._fail(reason)
