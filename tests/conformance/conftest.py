"""One running sandbox for all clients, with its engines' recorded requests and knobs."""

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
from tests import web
from tests.conformance.clients import CLIENTS, LITELLM_PYTHON, Client
from tests.integration.sample_images import GRAY, encoded, right_half
from tests.integration.sandbox_process import MAX_WAIT_SECONDS, SandboxProcess, start

UPDATE = "/api/v1/images/config/update"


@dataclass
class Gateway:
    """A sandbox's gateway; `engine` is the configured engine."""

    process: SandboxProcess
    url: str
    token: str
    engine: str = "openai"

    def configure(self, **fields: Any) -> None:
        """Update the configuration as an administrator."""
        response = self.process.request("POST", UPDATE, "admin", json=fields)
        assert response.status_code == 200, response.text

    def use(self, engine: str) -> None:
        """Use an engine for generations and edits, with a model that it has."""
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

    def posts(self, path_suffix: str = "") -> list[dict[str, Any]]:
        """Return the POST requests since the last reset whose paths have a suffix."""
        requests = self.http.get(f"{self.url}/sandbox/record").json()
        return [
            request for request in requests if request["method"] == "POST" and request["path"].endswith(path_suffix)
        ]

    def set_knobs(self, **knobs: Any) -> None:
        """Set latency and faults."""
        self.http.put(f"{self.url}/sandbox/knobs", json=knobs).raise_for_status()

    def reset(self) -> None:
        """Delete the recorded requests, and set no latency and no faults."""
        self.http.delete(f"{self.url}/sandbox").raise_for_status()


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """A sandbox on a free port; its clients use no proxy."""
    with tempfile.TemporaryFile() as log, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        process = start(log, "run", "--port", "0")
        try:
            sandbox = SandboxProcess(process)
            yield Gateway(sandbox, sandbox.printed("gateway"), sandbox.printed("user token"))
        finally:
            process.terminate()
            process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture(scope="session")
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    """An HTTP client for requests that the clients under test do not make; creating one takes long."""
    with httpx.Client(verify=web.TLS, trust_env=False, timeout=MAX_WAIT_SECONDS) as client:
        yield client


@pytest.fixture(scope="session")
def engines(gateway: Gateway, http: httpx.Client) -> dict[str, Engine]:
    """All engines by name."""
    names_and_urls = [line.split()[1:3] for line in gateway.process.lines if line.startswith("engine ")]
    return {name: Engine(name, url, http) for name, url in names_and_urls}


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> Iterator[Callable[[str], Client]]:
    """Return a client by its name; if it is not installed, the tests that request it are skipped."""
    with ExitStack() as closing:

        @cache
        def client_of(name: str) -> Client:
            client = CLIENTS[name](gateway.url, gateway.token)
            closing.callback(client.close)
            return client

        if LITELLM_PYTHON.exists():
            client_of("litellm")  # takes seconds to import, during the tests of other clients
        yield client_of


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three images, each of its own gray."""
    paths = [tmp_path_factory.mktemp("photos") / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        red, green, blue = GRAY
        path.write_bytes(encoded((red + number, green, blue)))
    return paths


@pytest.fixture(scope="session")
def mask(photos: list[Path]) -> Path:
    """A mask for the first photo: its right half may change."""
    path = photos[0].with_name("mask.png")
    path.write_bytes(base64.b64decode(right_half()))
    return path
