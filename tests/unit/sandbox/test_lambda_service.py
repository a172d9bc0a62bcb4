"""The Lambda service reuses warm environments, replaces dead ones, and limits and stops them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.lambda_environment import MAX_PAYLOAD_BYTES, FunctionError
from sandbox.lambda_service import LambdaService
from sandbox.template import Function
from tests.polling import until
from tests.unit.sandbox.processes import is_running

pytestmark = pytest.mark.anyio

MakeService = Callable[..., LambdaService]


@pytest.fixture
async def make_service(handlers_folder: Path) -> AsyncIterator[MakeService]:
    """Create a service with a function for each handler, of the same name."""
    services: list[LambdaService] = []

    def make(*handlers: str, concurrency: int = 8) -> LambdaService:
        functions = [Function(name, f"handlers.{name}", 30, 256, {}) for name in handlers]
        services.append(LambdaService(functions, {}, sys.stderr.fileno(), concurrency=concurrency, cwd=handlers_folder))
        return services[-1]

    yield make
    for service in services:
        await service.stop()


@pytest.fixture
def meeting(tmp_path: Path) -> Path:
    """The folder in which instances of the handler `wait_for_others` meet."""
    folder = tmp_path / "meeting"
    folder.mkdir()
    return folder


async def test_a_warm_environment_is_reused(make_service: MakeService) -> None:
    """Events that come one after another are handled by the same process."""
    service = make_service("respond")

    pids = {(await service.invoke("respond", {}))["pid"] for _ in range(3)}

    assert len(pids) == 1


async def test_a_warmed_environment_handles_the_first_event(make_service: MakeService) -> None:
    """An environment that was started in advance handles the first event."""
    service = make_service("respond")
    await service.warm(["respond"])
    (warm,) = service._started

    assert (await service.invoke("respond", {}))["pid"] == warm.pid


async def test_simultaneous_events_run_in_separate_environments(make_service: MakeService, meeting: Path) -> None:
    """Simultaneous events run at the same time, each in its own process."""
    service = make_service("wait_for_others")
    event = {"folder": str(meeting), "count": 3}

    pids = await asyncio.gather(*(service.invoke("wait_for_others", event) for _ in range(3)))

    assert len(set(pids)) == 3


async def test_events_beyond_the_concurrency_wait(make_service: MakeService) -> None:
    """Events beyond the allowed concurrency wait for an environment."""
    service = make_service("respond", concurrency=1)

    responses = await asyncio.gather(*(service.invoke("respond", {}) for _ in range(4)))

    assert sorted(response["calls"] for response in responses) == [1, 2, 3, 4]


async def test_busy_pids_are_those_of_processes_with_an_event(make_service: MakeService, meeting: Path) -> None:
    """The busy processes are those that are handling an event, without killed and idle ones."""
    service = make_service("wait_for_others")
    event = {"folder": str(meeting), "count": 3}
    invocations = [asyncio.create_task(service.invoke("wait_for_others", event)) for _ in range(2)]
    await until(lambda: len(list(meeting.iterdir())) == 2)
    first, second = service.busy_pids("wait_for_others")

    os.kill(first, signal.SIGKILL)
    await until(lambda: service.busy_pids("wait_for_others") == [second])
    (meeting / "third").touch()
    await asyncio.gather(*invocations, return_exceptions=True)

    assert sorted(path.name for path in meeting.iterdir()) == sorted([str(first), str(second), "third"])
    assert service.busy_pids("wait_for_others") == []


async def test_an_environment_stays_warm_after_an_exception(make_service: MakeService) -> None:
    """After an exception the same process handles the next event: failures do not accumulate processes."""
    service = make_service("fail")

    for _ in range(3):
        with pytest.raises(FunctionError):
            await service.invoke("fail", {"fail": True})
    await service.invoke("fail", {})

    assert len(service._started) == 1


@pytest.mark.parametrize(
    ("name", "event"), [("kill_itself", {"kill": True}), ("return_text", {"size": MAX_PAYLOAD_BYTES})]
)
async def test_a_new_environment_replaces_a_dead_one(
    make_service: MakeService, name: str, event: dict[str, Any]
) -> None:
    """After a process was killed, or ended because of too large a response, the next event gets a new process."""
    service = make_service(name)
    with pytest.raises(FunctionError):
        await service.invoke(name, event)

    await service.invoke(name, {})

    assert len(service._started) == 2


async def test_an_environment_killed_while_idle_is_replaced(make_service: MakeService) -> None:
    """A process that was killed between two events does not get the second one."""
    service = make_service("respond")
    first = (await service.invoke("respond", {}))["pid"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: not service._started[0].alive)

    assert (await service.invoke("respond", {}))["pid"] != first


async def test_a_function_continues_when_its_caller_gives_up(make_service: MakeService, meeting: Path) -> None:
    """A caller that gives up does not end the invocation: its environment is warm again afterwards."""
    service = make_service("wait_for_others")
    event = {"folder": str(meeting), "count": 2}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(service.invoke("wait_for_others", event), 0.01)

    (meeting / "second").touch()

    await until(lambda: not service._invocations)
    assert await service.invoke("wait_for_others", event) == service._started[0].pid


async def test_stop_ends_invocations_and_processes(make_service: MakeService, meeting: Path) -> None:
    """Stopping ends running and waiting invocations and every process, and starts no new process."""
    service = make_service("wait_for_others", concurrency=1)
    event = {"folder": str(meeting), "count": 2}
    invocations = [asyncio.create_task(service.invoke("wait_for_others", event)) for _ in range(3)]
    await until(lambda: len(list(meeting.iterdir())) == 1)

    await service.stop()

    outcomes = await asyncio.gather(*invocations, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert [is_running(environment.pid) for environment in service._started] == [False]


async def test_stop_ends_a_process_that_is_starting(make_service: MakeService) -> None:
    """Stopping while an environment starts leaves no process behind."""
    service = make_service("hang")
    invocation = asyncio.create_task(service.invoke("hang", {"hang": True}))
    await until(lambda: bool(service._started))

    await service.stop()

    with pytest.raises(asyncio.CancelledError):
        await invocation
    assert all(not is_running(environment.pid) for environment in service._started if environment.pid)
