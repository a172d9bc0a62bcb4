"""End users whom a chat front end names in a header of its own."""

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.state import SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

HEADERS = {"X-OpenWebUI-User-Id": "3f1c-user", "X-OpenWebUI-User-Email": "planted@example.com"}
PATHS = ("/v1/images/generations", "/api/v1/images/generations")


def sent(openai: SandboxState) -> Any:
    """Return the body of the last request to the engine."""
    return openai.record[-1].json


@pytest.mark.parametrize("path", PATHS)
def test_the_configured_header_is_the_user_of_a_request(
    openai_deployment: "Deployment", openai: SandboxState, path: str
) -> None:
    """Only the value of this header is passed on."""
    openai_deployment.configure(IMAGE_USER_HEADER="x-openwebui-user-id")

    response = openai_deployment.call("POST", path, {"prompt": "a fox"}, role="user", headers=HEADERS)

    assert response.status == 200
    assert sent(openai)["user"] == "3f1c-user"
    assert "planted@example.com" not in str(openai.record[-1])


@pytest.mark.parametrize("path", PATHS)
def test_without_the_setting_such_headers_are_ignored(
    openai_deployment: "Deployment", openai: SandboxState, path: str
) -> None:
    """The operator decides whether a provider learns whom a request is for."""
    openai_deployment.call("POST", path, {"prompt": "a fox"}, role="user", headers=HEADERS)

    assert "user" not in sent(openai)


def test_a_user_in_the_request_comes_first(openai_deployment: "Deployment", openai: SandboxState) -> None:
    """The header stands in for a field that the client does not send."""
    openai_deployment.configure(IMAGE_USER_HEADER="X-OpenWebUI-User-Id")

    openai_deployment.call("POST", PATHS[0], {"prompt": "a fox", "user": "me"}, role="user", headers=HEADERS)

    assert sent(openai)["user"] == "me"


@pytest.mark.parametrize("value", ["", "u" * 513, "caf\u00e9"])
def test_a_value_that_cannot_be_used_is_ignored(
    openai_deployment: "Deployment", openai: SandboxState, value: str
) -> None:
    """An empty, long or odd header does not stop a request."""
    openai_deployment.configure(IMAGE_USER_HEADER="X-OpenWebUI-User-Id")

    response = openai_deployment.call(
        "POST", PATHS[0], {"prompt": "a fox"}, role="user", headers={"X-OpenWebUI-User-Id": value}
    )

    assert response.status == 200
    assert "user" not in sent(openai)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "Proxy-Authorization", "X-Api-Key", "a b", "x:y"])
def test_a_header_with_credentials_is_refused(openai_deployment: "Deployment", name: str) -> None:
    """A token must not reach an engine as the name of a user."""
    response = openai_deployment.call("POST", "/api/v1/images/config/update", {"IMAGE_USER_HEADER": name})

    assert (response.status, response.json["field"]) == (422, "IMAGE_USER_HEADER")
