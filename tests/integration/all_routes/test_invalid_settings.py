"""A function whose settings are invalid says which template parameter to correct."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.worker.app import make_handler
from functions.worker.dead_letters import make_handler as make_dead_letters
from image_gateway.container import Gateway
from image_gateway.errors import NotConfigured
from image_gateway.settings import Settings
from tests.integration.deployment import FUNCTIONS, Deployment
from tests.integration.sqs_records import record


def invalid() -> Gateway:
    """Read settings as `from_environment` does, with hosts that the template would refuse."""
    variables = {
        "CONFIG_PARAMETER": "/p",
        "BUCKET": "b",
        "TABLE": "t",
        "FETCH_ALLOWED_HOSTS": "private.example,fd00::1",
    }
    return Gateway(Settings.from_environment(variables))


@pytest.mark.parametrize("path", ["/api/v1/images/generations", "/v1/images/generations"])
def test_a_request_is_refused_with_the_parameter(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The error names the parameter, and does not show private hosts to callers."""
    monkeypatch.setattr(deployment, "activate", lambda: None)
    for app, _handler in FUNCTIONS:
        monkeypatch.setattr(app.state, "gateway", invalid)

    response = deployment.call("POST", path, {"prompt": "a fox"})

    assert response.status == 409
    assert "FetchAllowedHosts" in response.text
    assert "private.example" not in response.text


@pytest.mark.parametrize("make", [make_handler, make_dead_letters], ids=["worker", "dead letters"])
def test_an_invocation_by_the_queue_fails_with_the_parameter(make: Callable[..., Any]) -> None:
    """Lambda logs the error of the invocation, and the messages are delivered again."""
    with pytest.raises(NotConfigured, match="FetchAllowedHosts"):
        make(invalid)({"Records": [record({"job": "x"})]}, None)
