"""The knobs and the record of a sandbox engine, over HTTP."""

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from sandbox.engines.openai import create_app
from sandbox.engines.state import Fault, Knobs, SandboxState
from tests import web


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def url(serve: Callable[[ASGIApp], str], state: SandboxState) -> str:
    return serve(create_app(state))


def test_requests_are_recorded(url: str) -> None:
    """The record has method, path, query and headers."""
    web.get(f"{url}/v1/models?a=1", headers={"X-Mark": "m"})

    (request,) = web.get(f"{url}/sandbox/record").json()
    assert (request["method"], request["path"], request["query"]) == ("GET", "/v1/models", {"a": "1"})
    assert request["headers"]["x-mark"] == "m"


def test_knobs_are_set_over_http(url: str, state: SandboxState) -> None:
    """This includes faults."""
    knobs = {"key": "k", "faults": [{"status": 418, "body": "short and stout", "path": "/models"}]}

    assert web.put(f"{url}/sandbox/knobs", json=knobs).is_success

    assert state.knobs == Knobs(key="k", faults=[Fault(418, "short and stout", path="/models")])
    assert web.get(f"{url}/v1/models").text == "short and stout"


def test_an_unknown_knob_is_refused(url: str) -> None:
    """The 400 names it."""
    response = web.put(f"{url}/sandbox/knobs", json={"speed": 11})

    assert (response.status_code, response.json()) == (400, {"error": "unknown knobs: speed"})


def test_a_reset_clears_record_and_knobs(url: str, state: SandboxState) -> None:
    """`DELETE /sandbox` resets the server."""
    state.knobs.latency = 1.0
    web.get(f"{url}/v1/models")

    assert web.delete(f"{url}/sandbox").status_code == 204
    assert (state.record, state.knobs) == ([], Knobs())


def test_faults_apply_by_path_skip_and_times(url: str, state: SandboxState) -> None:
    """Other requests get the real response."""
    state.knobs.faults = [Fault(500, path="/models", skip=1, times=2), Fault(503, path="/gpt-image-2")]

    paths = ["models", "models", "models/gpt-image-2", "models", "models"]
    assert [web.get(f"{url}/v1/{path}").status_code for path in paths] == [200, 500, 503, 500, 200]
