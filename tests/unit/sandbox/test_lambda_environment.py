"""Lambda environments run handlers under Lambda's own runtime client, and stop all that they started."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sandbox.fork_server import ForkServer
from sandbox.lambda_environment import MAX_PAYLOAD_BYTES, Environment, FunctionError
from sandbox.template import Function
from tests.polling import until
from tests.unit.sandbox.processes import is_running

pytestmark = pytest.mark.anyio

Start = Callable[..., Awaitable[Environment]]


def function(handler: str, timeout: int = 30) -> Function:
    return Function("Sample", handler, timeout, 256, {"BUCKET": "images"})


@pytest.fixture(params=["alone", "forked"])
async def start(request: pytest.FixtureRequest, handlers_folder: Path) -> AsyncIterator[Start]:
    """Start an environment for a handler, in each of the two ways; it writes to the file `log`."""
    started: list[Environment] = []
    async with AsyncExitStack() as stack:
        log = stack.enter_context((handlers_folder / "log").open("ab"))
        fork_server = None
        if request.param == "forked":
            fork_server = await stack.enter_async_context(ForkServer(log, modules=(), cwd=handlers_folder))

        async def start(handler: str, *, seconds: int = 30) -> Environment:
            environment = Environment(
                function(handler, seconds),
                {"AWS_REGION": "eu-central-1"},
                log,
                cwd=handlers_folder,
                fork_server=fork_server,
            )
            started.append(environment)
            await environment.start()
            return environment

        yield start
        for environment in started:
            await environment.stop()


async def test_the_return_value_of_a_handler_is_the_response(start: Start) -> None:
    """What a handler returns for an event is the response."""
    environment = await start("handlers.respond")

    response = await environment.invoke({"name": "Füchse"})

    assert (response["event"], response["pid"]) == ({"name": "Füchse"}, environment.pid)


async def test_a_handler_gets_lambdas_context_and_environment(start: Start) -> None:
    """A handler gets Lambda's context, and only the environment variables of Lambda and the template."""
    description = await (await start("handlers.describe", seconds=20)).invoke({})

    assert description["id"]
    assert 0 < description["remaining_ms"] <= 20_000
    assert description["arn"] == "arn:aws:lambda:eu-central-1:123456789012:function:Sample"
    assert description["environment"] == {
        "AWS_LAMBDA_FUNCTION_NAME": "Sample",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "BUCKET": "images",
        "AWS_REGION": "eu-central-1",
        "HOME": None,
    }


async def test_a_process_keeps_its_state_between_events(start: Start) -> None:
    """A second event runs in the same process, with the module's state as the first event left it."""
    environment = await start("handlers.respond")

    calls = [(await environment.invoke({}))["calls"] for _ in range(3)]

    assert calls == [1, 2, 3]


async def test_an_exception_is_a_function_error_and_the_process_continues(start: Start) -> None:
    """A handler's exception is a `FunctionError` with its message, and the process handles the next event."""
    environment = await start("handlers.fail")

    with pytest.raises(FunctionError, match="planted failure"):
        await environment.invoke({"fail": True})

    assert await environment.invoke({}) == environment.pid


async def test_a_process_killed_during_an_event_is_a_function_error(start: Start) -> None:
    """A process that is killed during an event causes a `FunctionError` with its status at once."""
    environment = await start("handlers.kill_itself")

    with pytest.raises(FunctionError, match="ended with status -9"):
        await environment.invoke({"kill": True})

    assert not environment.alive


async def test_an_ended_process_gets_no_events() -> None:
    """An event for a process that has ended causes a `FunctionError` with its status, without a wait."""
    command = (sys.executable, "-c", "raise SystemExit(3)")
    environment = Environment(function("handlers.respond"), {}, sys.stderr.fileno(), command=command)
    await environment.start()
    while environment.alive:  # noqa: ASYNC110 - so that the event comes as early as it can
        await asyncio.sleep(0)

    with pytest.raises(FunctionError, match="ended with status 3"):
        await environment.invoke({})
    await environment.stop()


async def test_a_handler_is_killed_at_its_timeout(start: Start) -> None:
    """A handler that takes longer than its timeout is killed, and the `FunctionError` says so."""
    environment = await start("handlers.hang", seconds=2)

    with pytest.raises(FunctionError, match="timed out after 2 seconds"):
        await environment.invoke({"hang": True})

    assert not is_running(environment.pid)


async def test_a_response_of_the_maximum_size_is_accepted(start: Start) -> None:
    """A response of exactly 6 MB is accepted."""
    response = await (await start("handlers.return_text")).invoke({"size": MAX_PAYLOAD_BYTES - 2})

    assert len(response) == MAX_PAYLOAD_BYTES - 2


async def test_a_response_is_not_escaped(start: Start) -> None:
    """Non-ASCII characters count as they do on Lambda: in UTF-8, two bytes for each of these."""
    environment = await start("handlers.return_umlauts")
    half = MAX_PAYLOAD_BYTES // 2

    assert len(await environment.invoke({"characters": half - 1})) == half - 1
    with pytest.raises(FunctionError, match="exceeded maximum allowed payload size"):
        await environment.invoke({"characters": half})


async def test_a_response_above_the_maximum_size_is_a_function_error(start: Start) -> None:
    """A response of more than 6 MB is a `FunctionError`, and the process gets no more events."""
    environment = await start("handlers.return_text")

    with pytest.raises(FunctionError, match="exceeded maximum allowed payload size"):
        await environment.invoke({"size": MAX_PAYLOAD_BYTES})

    assert not environment.alive


async def test_a_module_that_fails_on_import_is_a_function_error(start: Start) -> None:
    """If a handler's module fails on import, every event causes a `FunctionError` with the module's message."""
    environment = await start("broken.handler")

    for _ in range(2):
        with pytest.raises(FunctionError, match="planted defect"):
            await environment.invoke({})


async def test_a_missing_handler_is_a_function_error(start: Start) -> None:
    """A handler that its module does not have causes a `FunctionError` that names it."""
    with pytest.raises(FunctionError, match="'missing' missing on module 'handlers'"):
        await (await start("handlers.missing")).invoke({})


async def test_a_handlers_output_is_in_the_log(start: Start, handlers_folder: Path) -> None:
    """What a handler prints is written to the log."""
    await (await start("handlers.print_line")).invoke({})

    await until(lambda: "planted line" in (handlers_folder / "log").read_text())


async def test_stop_ends_the_process(start: Start) -> None:
    """A stopped environment has no process, and can be stopped again."""
    environment = await start("handlers.respond")
    await environment.invoke({})

    await environment.stop()
    await environment.stop()

    assert not is_running(environment.pid)


async def test_stopping_an_environment_that_was_not_started_does_nothing(handlers_folder: Path) -> None:
    """Stopping an environment that was not started does nothing."""
    await Environment(function("handlers.respond"), {}, sys.stderr.fileno(), cwd=handlers_folder).stop()


async def test_a_process_ends_when_its_runtime_api_is_gone(start: Start) -> None:
    """A process whose Runtime API has gone, as when the sandbox is killed, ends by itself."""
    environment = await start("handlers.respond")
    await environment.invoke({})

    await environment._stack.aclose()

    await until(lambda: not is_running(environment.pid))
