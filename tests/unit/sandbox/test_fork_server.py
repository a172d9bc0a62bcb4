"""The fork server starts functions with what they share, and nothing else, already imported."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.fork_server import ForkServer
from sandbox.lambda_environment import Environment, FunctionError
from sandbox.template import Function
from tests.polling import until
from tests.unit.sandbox.processes import is_running

pytestmark = pytest.mark.anyio

SHARED = """
import os
imported_by = os.getpid()
name_at_import = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
"""

USING = """
import gc, os, sys
import shared
name_at_import = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")

def handler(event, context):
    if "import" in event:
        __import__(event["import"])
    return {
        "pid": os.getpid(), "shared": shared.imported_by, "names": [shared.name_at_import, name_at_import],
        "plugins": os.environ.get("PYDANTIC_DISABLE_PLUGINS"), "collects": gc.isenabled(),
    }
"""

StartServer = Callable[..., Awaitable[ForkServer]]
StartFunction = Callable[..., Awaitable[Environment]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Stops what a test starts."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start_server(stack: AsyncExitStack, handlers_folder: Path) -> StartServer:
    """Start a server that imports the named modules before it forks."""
    (handlers_folder / "shared.py").write_text(SHARED)
    (handlers_folder / "using.py").write_text(USING)

    async def start(*modules: str) -> ForkServer:
        return await stack.enter_async_context(ForkServer(sys.stderr.fileno(), modules=modules, cwd=handlers_folder))

    return start


@pytest.fixture
def start_function(stack: AsyncExitStack, handlers_folder: Path) -> StartFunction:
    """Start an environment by a server."""

    async def start(server: ForkServer, name: str = "First", handler: str = "using.handler") -> Environment:
        function = Function(name, handler, 30, 256, {})
        environment = Environment(function, {}, sys.stderr.fileno(), cwd=handlers_folder, fork_server=server)
        stack.push_async_callback(environment.stop)
        await environment.start()
        return environment

    return start


async def test_shared_modules_are_imported_once_and_a_function_in_its_own_process(
    start_server: StartServer, start_function: StartFunction
) -> None:
    """A shared module sees no function's variables, and the function's module sees those of its own function."""
    server = await start_server("shared")

    first, second = [await (await start_function(server, name)).invoke({}) for name in ("First", "Second")]

    assert (first["names"], second["names"]) == ([None, "First"], [None, "Second"])
    assert first["shared"] == second["shared"] == server.pid
    assert len({first["pid"], second["pid"], server.pid}) == 3


async def test_how_a_start_changes_its_process_is_left_to_each_function(
    start_server: StartServer, start_function: StartFunction
) -> None:
    """Pydantic's variable is set, and the collector paused, only where the function imports `cold_start` itself."""
    server = await start_server("shared", "image_gateway.cold_start")

    without = await (await start_function(server)).invoke({})
    importing = await (await start_function(server)).invoke({"import": "image_gateway.cold_start"})

    assert (without["plugins"], without["collects"]) == (None, True)
    assert (importing["plugins"], importing["collects"]) == ("__all__", False)


async def test_a_defective_shared_module_fails_only_functions_that_import_it(
    start_server: StartServer, start_function: StartFunction
) -> None:
    """The function reports the defect, as it does on Lambda."""
    server = await start_server("broken")
    failing, working = await start_function(server, handler="broken.handler"), await start_function(server)

    with pytest.raises(FunctionError, match="planted defect"):
        await failing.invoke({})

    assert await working.invoke({})


async def test_a_process_whose_start_was_canceled_is_killed(
    start_server: StartServer, start_function: StartFunction
) -> None:
    """Nobody else would end it."""
    server = await start_server()
    canceled = asyncio.create_task(server.start("using.handler", {}))
    await asyncio.sleep(0)  # the request is sent

    canceled.cancel()
    later = await start_function(server)

    await until(lambda: list(server._running) == [later.pid])


async def test_the_end_of_the_block_kills_all_processes(handlers_folder: Path, start_function: StartFunction) -> None:
    """Those that were started, and the server's own."""
    async with ForkServer(sys.stderr.fileno(), modules=(), cwd=handlers_folder) as server:
        environment = await start_function(server, handler="handlers.respond")

    await until(lambda: not environment.alive and not is_running(environment.pid))
    assert not is_running(server.pid)


async def test_a_server_that_was_killed_is_an_error(start_server: StartServer, start_function: StartFunction) -> None:
    """Its processes end, and starts that wait and later ones fail."""
    server = await start_server()
    environment = await start_function(server)
    os.kill(server.pid, signal.SIGSTOP)
    waiting = asyncio.create_task(server.start("using.handler", {}))
    await asyncio.sleep(0)  # the request is sent

    os.kill(server.pid, signal.SIGKILL)

    with pytest.raises(SandboxError, match="has ended"):
        await waiting
    with pytest.raises(SandboxError, match="has ended"):
        await server.start("using.handler", {})
    await until(lambda: not environment.alive and not is_running(environment.pid))
