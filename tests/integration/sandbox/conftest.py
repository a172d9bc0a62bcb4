"""Sandboxes that run as processes."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from sandbox.client import GatewayClient
from tests.integration.sandbox.processes import LoggedSandbox
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, SandboxProcess, start, start_with_piped_log


@pytest.fixture
def start_process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sandbox's process, which is terminated after the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        processes.append(start_with_piped_log(*arguments, **variables))
        return processes[-1]

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture(scope="session")
def logged_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedSandbox]:
    """A sandbox on a free port, with parameters and with tokens that need quoting in a shell; most tests share it."""
    path = tmp_path_factory.mktemp("sandbox") / "log"
    tokens = {"ADMIN_TOKEN": "the'admin$(id)", "USER_TOKEN": 'the"user`id`\\'}
    with path.open("wb") as log:
        process = start(log, "run", "UrlExpirySeconds=120", "ApiRateLimit=5", **tokens, PORT="0")
    yield LoggedSandbox(SandboxProcess(process), path.read_text())
    process.terminate()
    process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture(scope="session")
def sandbox(logged_sandbox: LoggedSandbox) -> SandboxProcess:
    """The shared sandbox."""
    return logged_sandbox.sandbox


@pytest.fixture
def client(sandbox: SandboxProcess) -> GatewayClient:
    """A client of the shared sandbox, of the class that the demo uses."""
    return GatewayClient(sandbox.printed("gateway"), sandbox.printed("admin token"), sandbox.printed("user token"))
