"""Sandboxes that run as processes."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from sandbox.client import GatewayClient
from tests.integration.sandbox.processes import Logging
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, SandboxProcess, spawn, start


@pytest.fixture
def spawned() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sandbox's process; what still runs after the test is ended."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        processes.append(spawn(*arguments, **variables))
        return processes[-1]

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture(scope="session")
def logging_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logging]:
    """A sandbox on a free port, with tokens that a shell would trip over; most tests share it."""
    path = tmp_path_factory.mktemp("sandbox") / "log"
    with path.open("wb") as log:
        process = start(log, "run", ADMIN_TOKEN="the'admin$(id)", USER_TOKEN='the"user`id`\\', PORT="0")
    yield Logging(SandboxProcess(process), path.read_text())
    process.terminate()
    process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture(scope="session")
def sandbox(logging_sandbox: Logging) -> SandboxProcess:
    return logging_sandbox.sandbox


@pytest.fixture
def client(sandbox: SandboxProcess) -> GatewayClient:
    """A client of the shared sandbox, as the demo is one of its own."""
    return GatewayClient(sandbox.printed("gateway"), sandbox.printed("admin token"), sandbox.printed("user token"))
