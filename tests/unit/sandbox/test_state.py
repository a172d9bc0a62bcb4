"""The knobs and the record of a sandbox engine, turned and read over HTTP."""

from collections.abc import Callable

import httpx
import pytest
from starlette.types import ASGIApp

from sandbox.engines.openai import create_app
from sandbox.engines.state import Fault, Knobs, SandboxState


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def url(serve: Callable[[ASGIApp], str], state: SandboxState) -> str:
    return serve(create_app(state))


def test_record_tells_what_was_asked(url: str) -> None:
    """Each request is in the record with its method, path, query and headers."""
    httpx.get(f"{url}/v1/models?a=1", headers={"X-Mark": "m"})

    (requested,) = httpx.get(f"{url}/sandbox/record").json()
    assert (requested["method"], requested["path"], requested["query"]) == ("GET", "/v1/models", {"a": "1"})
    assert requested["headers"]["x-mark"] == "m"


def test_knobs_are_turned(url: str, state: SandboxState) -> None:
    """Knobs set over HTTP are in effect, faults included."""
    wanted = {"key": "k", "faults": [{"status": 418, "body": "short and stout", "path": "/models"}]}

    assert httpx.put(f"{url}/sandbox/knobs", json=wanted).is_success

    assert state.knobs == Knobs(key="k", faults=[Fault(418, "short and stout", path="/models")])
    assert httpx.get(f"{url}/v1/models").text == "short and stout"


def test_unknown_knob_is_refused(url: str) -> None:
    """A knob that does not exist is a 400 that names it."""
    answer = httpx.put(f"{url}/sandbox/knobs", json={"speed": 11})

    assert (answer.status_code, answer.json()) == (400, {"error": "unknown knobs: speed"})


def test_reset_forgets(url: str, state: SandboxState) -> None:
    """A reset clears record and knobs."""
    state.knobs.latency = 1.0
    httpx.get(f"{url}/v1/models")

    assert httpx.delete(f"{url}/sandbox").status_code == 204
    assert (state.record, state.knobs) == ([], Knobs())


def test_faults_wait_their_turn(url: str, state: SandboxState) -> None:
    """A fault strikes only the path, the turn and the number of times it names."""
    state.knobs.faults = [Fault(500, path="/models", skip=1, times=2), Fault(503, path="/gpt-image-2")]

    paths = ["models", "models", "models/gpt-image-2", "models", "models"]
    assert [httpx.get(f"{url}/v1/{path}").status_code for path in paths] == [200, 500, 503, 500, 200]
