"""Environments run handlers under Lambda's own runtime client, and end with all that they started."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.lambda_environment import MAX_PAYLOAD_BYTES, Environment, FunctionError
from sandbox.lambda_service import LambdaService
from sandbox.template import Function

pytestmark = pytest.mark.anyio

HANDLERS = '''
import os, pathlib, signal, time

calls = 0

def answer(event, context):
    global calls
    calls += 1
    return {"pid": os.getpid(), "calls": calls, "event": event}

def about(event, context):
    names = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_EXECUTION_ENV", "BUCKET",
             "AWS_REGION", "HOME")
    return {"id": context.aws_request_id, "left": context.get_remaining_time_in_millis(),
            "arn": context.invoked_function_arn, "environment": {name: os.environ.get(name) for name in names}}

def fail(event, context):
    if event.get("fail"):
        raise ValueError("planted failure")
    return os.getpid()

def die(event, context):
    if event.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()

def hang(event, context):
    if event.get("hang"):
        time.sleep(60)
    return os.getpid()

def much(event, context):
    return "x" * event.get("size", 1)

def umlauts(event, context):
    return "ü" * event["characters"]

def meet(event, context):
    """Wait until as many as the event says have come."""
    folder = pathlib.Path(event["folder"])
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 30
    while len(list(folder.iterdir())) < event["count"]:
        assert time.monotonic() < deadline, "nobody else came"
        time.sleep(0.01)
    return os.getpid()

def write(event, context):
    print("planted line")
'''


def function(handler: str, timeout: int = 30) -> Function:
    return Function("Tiny", handler, timeout, 256, {"BUCKET": "images"})


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


def running(pid: int) -> bool:
    """Whether there is a process, one that has ended but was not asked for its status aside."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.py").write_text(HANDLERS)
    (tmp_path / "broken.py").write_text("raise RuntimeError('planted defect')")
    return tmp_path


@pytest.fixture
async def start(folder: Path) -> AsyncIterator[Callable[..., Awaitable[Environment]]]:
    """Start an environment for a handler; it writes to the file `log`."""
    started: list[Environment] = []

    async def start(handler: str, *, seconds: int = 30, **options: Any) -> Environment:
        with (folder / "log").open("ab") as log:
            environment = Environment(
                function(handler, seconds), {"AWS_REGION": "eu-central-1"}, log.fileno(), cwd=folder, **options
            )
            started.append(environment)
            await environment.start()
        return environment

    yield start
    for environment in started:
        await environment.stop()


@pytest.fixture
async def service(folder: Path) -> AsyncIterator[Callable[..., LambdaService]]:
    """Make a service of the handlers; their functions are named as they are."""
    made: list[LambdaService] = []

    def make(*handlers: str, concurrency: int = 8) -> LambdaService:
        functions = [Function(name, f"tiny.{name}", 30, 256, {}) for name in handlers]
        made.append(LambdaService(functions, {}, sys.stderr.fileno(), concurrency=concurrency, cwd=folder))
        return made[-1]

    yield make
    for item in made:
        await item.stop()


Start = Callable[..., Awaitable[Environment]]
Make = Callable[..., LambdaService]


async def test_a_handler_answers(start: Start) -> None:
    """What a handler returns for an event is the answer."""
    environment = await start("tiny.answer")

    answer = await environment.invoke({"name": "Füchse"})

    assert (answer["event"], answer["pid"]) == ({"name": "Füchse"}, environment.pid)


async def test_a_handler_knows_where_it_is(start: Start) -> None:
    """A handler gets Lambda's context, and of the environment only what Lambda and the template say."""
    about = await (await start("tiny.about", seconds=20)).invoke({})

    assert about["id"]
    assert 0 < about["left"] <= 20_000
    assert about["arn"] == "arn:aws:lambda:eu-central-1:123456789012:function:Tiny"
    assert about["environment"] == {
        "AWS_LAMBDA_FUNCTION_NAME": "Tiny",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "BUCKET": "images",
        "AWS_REGION": "eu-central-1",
        "HOME": None,
    }


async def test_a_process_takes_one_event_after_another(start: Start) -> None:
    """A second event finds the process, and what it keeps, as the first one left it."""
    environment = await start("tiny.answer")

    calls = [(await environment.invoke({}))["calls"] for _ in range(3)]

    assert calls == [1, 2, 3]


async def test_an_exception_is_an_error_and_no_end(start: Start) -> None:
    """A handler that raises is a `FunctionError` with its words, and its process takes the next event."""
    environment = await start("tiny.fail")

    with pytest.raises(FunctionError, match="planted failure"):
        await environment.invoke({"fail": True})

    assert await environment.invoke({}) == environment.pid


async def test_a_death_is_an_error(start: Start) -> None:
    """A process that is killed in the middle of an event is a `FunctionError` with its status, at once."""
    environment = await start("tiny.die")

    with pytest.raises(FunctionError, match="ended with status -9"):
        await environment.invoke({"die": True})

    assert not environment.alive


async def test_the_dead_take_no_events(start: Start) -> None:
    """An event for a process that has ended is a `FunctionError` that says how it ended, without a wait."""
    environment = await start("tiny.answer", command=(sys.executable, "-c", "raise SystemExit(3)"))
    await eventually(lambda: not environment.alive)

    with pytest.raises(FunctionError, match="ended with status 3"):
        await environment.invoke({})


async def test_time_runs_out(start: Start) -> None:
    """A handler that takes longer than its timeout is killed, and a `FunctionError` says so."""
    environment = await start("tiny.hang", seconds=2)

    with pytest.raises(FunctionError, match="timed out after 2 seconds"):
        await environment.invoke({"hang": True})

    assert not running(environment.pid)


async def test_the_longest_answer(start: Start) -> None:
    """An answer of 6 MB is taken."""
    answer = await (await start("tiny.much")).invoke({"size": MAX_PAYLOAD_BYTES - 2})

    assert len(answer) == MAX_PAYLOAD_BYTES - 2


async def test_a_response_is_not_escaped(start: Start) -> None:
    """Non-ASCII characters count as they do on Lambda: in UTF-8, two bytes for each of these."""
    environment = await start("tiny.umlauts")

    assert len(await environment.invoke({"characters": MAX_PAYLOAD_BYTES // 2 - 1})) == MAX_PAYLOAD_BYTES // 2 - 1
    with pytest.raises(FunctionError, match="exceeded maximum allowed payload size"):
        await environment.invoke({"characters": MAX_PAYLOAD_BYTES // 2})


async def test_too_long_an_answer(start: Start) -> None:
    """An answer of more than 6 MB is a `FunctionError`, and the process takes no more events."""
    environment = await start("tiny.much")

    with pytest.raises(FunctionError, match="exceeded maximum allowed payload size"):
        await environment.invoke({"size": MAX_PAYLOAD_BYTES})

    assert not environment.alive


async def test_a_module_that_cannot_be_imported(start: Start) -> None:
    """A handler whose module fails on import is a `FunctionError` with the module's words, for every event."""
    environment = await start("broken.handler")

    for _ in range(2):
        with pytest.raises(FunctionError, match="planted defect"):
            await environment.invoke({})


async def test_a_handler_that_is_not_there(start: Start) -> None:
    """A handler that its module does not have is a `FunctionError` that names it."""
    with pytest.raises(FunctionError, match="'missing' missing on module 'tiny'"):
        await (await start("tiny.missing")).invoke({})


async def test_what_a_handler_writes_is_in_the_log(start: Start, folder: Path) -> None:
    """What a handler prints goes to the log."""
    await (await start("tiny.write")).invoke({})

    await eventually(lambda: "planted line" in (folder / "log").read_text())


async def test_stop_ends_the_process(start: Start) -> None:
    """A stopped environment has no process, and can be stopped again."""
    environment = await start("tiny.answer")
    await environment.invoke({})

    await environment.stop()
    await environment.stop()

    assert not running(environment.pid)


async def test_an_environment_that_never_started_stops(folder: Path) -> None:
    """Stopping what was not started does nothing."""
    await Environment(function("tiny.answer"), {}, sys.stderr.fileno(), cwd=folder).stop()


async def test_the_process_ends_without_its_runtime_api(start: Start) -> None:
    """A process whose Runtime API has gone, as when the sandbox is killed, ends by itself."""
    environment = await start("tiny.answer")
    await environment.invoke({})

    await environment._stack.aclose()

    await eventually(lambda: not running(environment.pid))


async def test_a_warm_environment_is_used_again(service: Make) -> None:
    """Events that come one after another are handled by the same process."""
    functions = service("answer")

    pids = {(await functions.invoke("answer", {}))["pid"] for _ in range(3)}

    assert len(pids) == 1


async def test_a_function_starts_before_its_first_event(service: Make) -> None:
    """The environment that was started to be warm takes the first event."""
    functions = service("answer")
    await functions.warm(["answer"])
    (warm,) = functions._started

    assert (await functions.invoke("answer", {}))["pid"] == warm.pid


async def test_events_at_once_get_an_environment_each(service: Make, tmp_path: Path) -> None:
    """Events that are there at the same time run in processes of their own, at the same time."""
    functions = service("meet")
    (tmp_path / "met").mkdir()
    event = {"folder": str(tmp_path / "met"), "count": 3}

    pids = await asyncio.gather(*(functions.invoke("meet", event) for _ in range(3)))

    assert len(set(pids)) == 3


async def test_more_events_wait_for_their_turn(service: Make) -> None:
    """Beyond the concurrency that is allowed, events wait for an environment."""
    functions = service("answer", concurrency=1)

    answers = await asyncio.gather(*(functions.invoke("answer", {}) for _ in range(4)))

    assert sorted(answer["calls"] for answer in answers) == [1, 2, 3, 4]


async def test_processes_at_work_are_known(service: Make, tmp_path: Path) -> None:
    """The processes that have events right now are named; a killed one is not, nor one that is idle."""
    functions = service("meet")
    (tmp_path / "met").mkdir()
    event = {"folder": str(tmp_path / "met"), "count": 3}
    invocations = [asyncio.create_task(functions.invoke("meet", event)) for _ in range(2)]
    await eventually(lambda: len(list((tmp_path / "met").iterdir())) == 2)
    first, second = functions.busy_pids("meet")

    os.kill(first, signal.SIGKILL)
    await eventually(lambda: functions.busy_pids("meet") == [second])
    (tmp_path / "met" / "third").touch()
    await asyncio.gather(*invocations, return_exceptions=True)

    assert sorted(path.name for path in (tmp_path / "met").iterdir()) == sorted([str(first), str(second), "third"])
    assert functions.busy_pids("meet") == []


async def test_a_failed_event_leaves_its_environment_warm(service: Make) -> None:
    """After an exception the same process takes the next event: failures do not pile up processes."""
    functions = service("fail")

    for _ in range(3):
        with pytest.raises(FunctionError):
            await functions.invoke("fail", {"fail": True})
    await functions.invoke("fail", {})

    assert len(functions._started) == 1


@pytest.mark.parametrize(("name", "event"), [("die", {"die": True}), ("much", {"size": MAX_PAYLOAD_BYTES})])
async def test_a_new_environment_follows_a_dead_one(service: Make, name: str, event: dict[str, Any]) -> None:
    """After a death, or an answer that the runtime client dies of, the next event gets a new process."""
    functions = service(name)
    with pytest.raises(FunctionError):
        await functions.invoke(name, event)

    await functions.invoke(name, {})

    assert len(functions._started) == 2


async def test_an_environment_killed_while_idle_is_replaced(service: Make) -> None:
    """A process that died between two events is not given the second one."""
    functions = service("answer")
    first = (await functions.invoke("answer", {}))["pid"]
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: not functions._started[0].alive)

    assert (await functions.invoke("answer", {}))["pid"] != first


async def test_a_function_goes_on_when_its_caller_gives_up(service: Make, tmp_path: Path) -> None:
    """A caller that waits no longer does not end the event: its environment is warm again afterwards."""
    functions = service("meet")
    folder = tmp_path / "met"
    folder.mkdir()
    event = {"folder": str(folder), "count": 2}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(functions.invoke("meet", event), 0.01)

    (folder / "the second").touch()

    await eventually(lambda: not functions._invocations)
    assert await functions.invoke("meet", event) == functions._started[0].pid


async def test_stop_ends_events_and_processes(service: Make, tmp_path: Path) -> None:
    """Stopping ends what runs, what waits for its turn, and every process, and starts no new one."""
    functions = service("meet", concurrency=1)
    (tmp_path / "met").mkdir()
    event = {"folder": str(tmp_path / "met"), "count": 2}
    invocations = [asyncio.create_task(functions.invoke("meet", event)) for _ in range(3)]
    await eventually(lambda: len(list((tmp_path / "met").iterdir())) == 1)

    await functions.stop()

    assert all(
        isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*invocations, return_exceptions=True)
    )
    assert [running(environment.pid) for environment in functions._started] == [False]


async def test_stop_ends_a_process_that_is_being_started(service: Make) -> None:
    """Stopping while an environment starts leaves no process behind."""
    functions = service("hang")
    invocation = asyncio.create_task(functions.invoke("hang", {"hang": True}))
    await eventually(lambda: bool(functions._started))

    await functions.stop()

    with pytest.raises(asyncio.CancelledError):
        await invocation
    assert all(not running(environment.pid) for environment in functions._started if environment._process)
