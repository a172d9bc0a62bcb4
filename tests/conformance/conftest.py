"""One running sandbox for all clients, and its engines' records and knobs."""

import base64
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.client import ENGINES
from tests.conformance.clients import CLIENTS, LITELLM_PYTHON, Client
from tests.integration.sample_images import GREY, encoded, right_half
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, SandboxProcess, start

UPDATE = "/api/v1/images/config/update"


@dataclass
class Gateway:
    """A sandbox's gateway; `engine` is the one that is configured."""

    running: SandboxProcess
    url: str
    token: str
    engine: str = "openai"

    def configure(self, **fields: Any) -> None:
        """Update the configuration as an administrator."""
        answer = self.running.request("POST", UPDATE, "admin", json=fields)
        assert answer.status_code == 200, answer.text

    def use(self, engine: str) -> None:
        """Make an engine the one that generates and edits, with a model of its own choice."""
        if engine != self.engine:
            self.configure(
                IMAGE_GENERATION_ENGINE=engine,
                IMAGE_GENERATION_MODEL=ENGINES[engine],
                IMAGE_EDIT_ENGINE=engine,
                IMAGE_EDIT_MODEL=ENGINES[engine],
            )
            self.engine = engine


@dataclass(frozen=True)
class Engine:
    """One of the sandbox's engines."""

    name: str
    url: str
    http: httpx.Client

    def record(self, ending: str = "") -> list[dict[str, Any]]:
        """What was posted to paths with that ending since it was afresh."""
        found = self.http.get(f"{self.url}/sandbox/record").json()
        return [one for one in found if one["method"] == "POST" and one["path"].endswith(ending)]

    def set(self, **knobs: Any) -> None:
        """Set latency and faults."""
        self.http.put(f"{self.url}/sandbox/knobs", json=knobs).raise_for_status()

    def afresh(self) -> None:
        """Forget what was asked, and all latency and faults."""
        self.http.delete(f"{self.url}/sandbox").raise_for_status()


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """A sandbox on a free port; its clients use no proxy."""
    with tempfile.TemporaryFile() as log, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        process = start(log, "run", "--port", "0")
        try:
            running = SandboxProcess(process)
            yield Gateway(running, running.printed("gateway"), running.printed("user token"))
        finally:
            process.terminate()
            process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture(scope="session")
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    """For what no client does: one, because it takes long to make."""
    with httpx.Client(trust_env=False, timeout=MAX_WAIT_SECONDS) as client:
        yield client


@pytest.fixture(scope="session")
def engines(gateway: Gateway, http: httpx.Client) -> dict[str, Engine]:
    """All engines by their names."""
    said = [line.split()[1:3] for line in gateway.running.lines if line.startswith("engine ")]
    return {name: Engine(name, url, http) for name, url in said}


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> Iterator[Callable[[str], Client]]:
    """Gives a client by its name; one that is not there skips the tests that ask for it."""
    with ExitStack() as closing:

        @cache
        def made(name: str) -> Client:
            client = CLIENTS[name](gateway.url, gateway.token)
            closing.callback(client.close)
            return client

        if LITELLM_PYTHON.exists():
            made("litellm")  # which takes seconds to be imported, beside the others
        yield made


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three grey images."""
    paths = [tmp_path_factory.mktemp("photos") / f"{number}.png" for number in range(3)]
    for path in paths:
        path.write_bytes(encoded(GREY))
    return paths


@pytest.fixture(scope="session")
def mask(photos: list[Path]) -> Path:
    """A mask for the first of them: its right half may change."""
    path = photos[0].with_name("mask.png")
    path.write_bytes(base64.b64decode(right_half()))
    return path
