"""Every response names its request in `x-request-id`, with the id that the logs and errors contain."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

ID = "a-request"
FOX = {"prompt": "a fox", "size": "64x64"}
GENERATION_PATHS = ("/api/v1/images/generations", "/v1/images/generations")


def status_and_id(
    deployment: "Deployment", method: str, path: str, body: Any = None, **options: Any
) -> tuple[int, str | None]:
    """Return the status and the `x-request-id` of a response to a request that API Gateway named `ID`."""
    response = deployment.call(method, path, body, context={"requestId": ID}, **options)
    return response.status, response.headers.get("x-request-id")


@pytest.mark.parametrize("path", GENERATION_PATHS)
def test_a_generation_has_the_request_id(openai_deployment: "Deployment", path: str) -> None:
    """Both APIs set the header."""
    assert status_and_id(openai_deployment, "POST", path, FOX) == (200, ID)


@pytest.mark.parametrize("path", GENERATION_PATHS)
def test_a_redirect_and_a_202_have_the_request_id(queue_deployment: "Deployment", path: str) -> None:
    """A 303 to an unfinished job has it, and the 202 of `respond-async`."""
    assert status_and_id(queue_deployment, "POST", path, FOX) == (303, ID)
    assert status_and_id(queue_deployment, "POST", path, FOX, headers={"Prefer": "respond-async"}) == (202, ID)


@pytest.mark.parametrize("path", GENERATION_PATHS)
def test_errors_have_the_request_id(openai_deployment: "Deployment", path: str) -> None:
    """The gateway's, the framework's and the authorization's errors have it."""
    assert status_and_id(openai_deployment, "POST", path, {"prompt": ""})[1] == ID
    assert status_and_id(openai_deployment, "POST", path, FOX, role="garbage") == (401, ID)
    assert status_and_id(openai_deployment, "PUT", path, FOX) == (405, ID)


@pytest.mark.parametrize("path", ["/health", "/docs", "/v1/models", "/api/v1/images/jobs", "/v1/nothing"])
def test_every_other_route_has_the_request_id(openai_deployment: "Deployment", path: str) -> None:
    """Public routes have it, too."""
    assert status_and_id(openai_deployment, "GET", path)[1] == ID


def test_an_internal_error_has_the_request_id(openai_deployment: "Deployment", monkeypatch: pytest.MonkeyPatch) -> None:
    """With it an operator finds the cause of the 500 in the log."""
    monkeypatch.setattr(openai_deployment.gateway.submission, "submit", None)

    assert status_and_id(openai_deployment, "POST", GENERATION_PATHS[1], FOX) == (500, ID)


def test_without_a_request_id_there_is_no_header(openai_deployment: "Deployment") -> None:
    """An event that was written by hand may have no request id."""
    assert "x-request-id" not in openai_deployment.call("GET", "/health", context={"requestId": ""}).headers
