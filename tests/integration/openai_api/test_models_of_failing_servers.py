"""Reading a model while a server is down: generations and edits may have servers of their own."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from sandbox.engines.state import Fault, SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

DOWN = "http://127.0.0.1:9/v1"


@pytest.fixture
def edit_server(openai_deployment: "Deployment", serve: Callable[..., str]) -> SandboxState:
    """The knobs and the record of another server of the same engine, which the deployment edits with."""
    state = SandboxState()
    openai_deployment.configure(
        ENABLE_IMAGE_EDIT=True,
        IMAGES_EDIT_OPENAI_API_BASE_URL=serve(import_module("sandbox.engines.openai").create_app(state)) + "/v1",
        IMAGES_EDIT_OPENAI_API_KEY="planted-engine-key",
    )
    return state


@pytest.mark.parametrize(
    "field", ["IMAGES_OPENAI_API_BASE_URL", "IMAGES_EDIT_OPENAI_API_BASE_URL"], ids=["generation", "edit"]
)
def test_every_listed_model_can_be_read_while_one_of_two_servers_is_down(
    openai_deployment: "Deployment", edit_server: SandboxState, field: str
) -> None:
    """A model is found on the server that works."""
    openai_deployment.configure(**{field: DOWN, "IMAGES_OPENAI_API_KEY": "k", "IMAGES_EDIT_OPENAI_API_KEY": "k"})

    response = openai_deployment.call("GET", "/v1/models", role="user")
    names = [model["id"] for model in response.json["data"]]

    assert {"gpt-image-2", "openai/gpt-image-2"} <= set(names)
    statuses = {openai_deployment.call("GET", f"/v1/models/{name}", role="user").status for name in names}
    assert statuses == {200}


@pytest.mark.parametrize(
    "field", ["IMAGES_OPENAI_API_BASE_URL", "IMAGES_EDIT_OPENAI_API_BASE_URL"], ids=["generation", "edit"]
)
def test_an_unknown_model_is_a_502_while_one_of_two_servers_is_down(
    openai_deployment: "Deployment", edit_server: SandboxState, field: str
) -> None:
    """The server that is down may have the model."""
    openai_deployment.configure(**{field: DOWN, "IMAGES_OPENAI_API_KEY": "k", "IMAGES_EDIT_OPENAI_API_KEY": "k"})

    response = openai_deployment.call("GET", "/v1/models/nothing", role="user")

    assert (response.status, response.json["error"]["code"]) == (502, "engine_unavailable")


def test_a_server_for_both_that_fails_is_called_once(openai_deployment: "Deployment", openai: SandboxState) -> None:
    """Calling it again would only delay the error."""
    openai_deployment.configure(IMAGES_EDIT_OPENAI_API_BASE_URL="")
    openai.knobs.faults = [Fault(401, {"error": {"message": "no such key"}}, times=-1)]

    response = openai_deployment.call("GET", "/v1/models/gpt-image-2", role="user")

    assert (response.status, response.json["error"]["code"]) == (400, "engine_rejected")
    assert len(openai.record) == 1
