"""Every answer says which request it is for: `x-request-id`, as the log, the access log and errors have it."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


ID = "a-request"


FOX = {"prompt": "a fox", "size": "64x64"}


DOORS = ("/api/v1/images/generations", "/v1/images/generations")


def requested(
    deployment: "Deployment", method: str, path: str, body: Any = None, **options: Any
) -> tuple[int, str | None]:
    """The status and the id of an answer to a request that API Gateway named `ID`."""
    response = deployment.call(method, path, body, context={"requestId": ID}, **options)
    return response.status, response.headers.get("x-request-id")


@pytest.mark.parametrize("path", DOORS)
def test_images_come_with_it(openai_deployment: "Deployment", path: str) -> None:
    """At both channels."""
    assert requested(openai_deployment, "POST", path, FOX) == (200, ID)


@pytest.mark.parametrize("path", DOORS)
def test_who_is_sent_on_is_told(queue_deployment: "Deployment", path: str) -> None:
    """A job that is not done yet, and one that nobody waits for."""
    assert requested(queue_deployment, "POST", path, FOX) == (303, ID)
    assert requested(queue_deployment, "POST", path, FOX, headers={"Prefer": "respond-async"}) == (202, ID)


@pytest.mark.parametrize("path", DOORS)
def test_errors_come_with_it(openai_deployment: "Deployment", path: str) -> None:
    """Whether the gateway, the framework or the check of tokens refuses."""
    assert requested(openai_deployment, "POST", path, {"prompt": ""})[1] == ID
    assert requested(openai_deployment, "POST", path, FOX, role="garbage") == (401, ID)
    assert requested(openai_deployment, "PUT", path, FOX) == (405, ID)


@pytest.mark.parametrize("path", ["/health", "/docs", "/v1/models", "/api/v1/images/jobs", "/v1/nothing"])
def test_every_other_route_has_it(openai_deployment: "Deployment", path: str) -> None:
    """Also those that anybody may ask."""
    assert requested(openai_deployment, "GET", path)[1] == ID


def test_a_defect_is_found_by_it(openai_deployment: "Deployment", monkeypatch: pytest.MonkeyPatch) -> None:
    """The 500 tells to look for it in the log."""
    monkeypatch.setattr(openai_deployment.gateway.submission, "submit", None)

    assert requested(openai_deployment, "POST", DOORS[1], FOX) == (500, ID)


def test_without_an_id_there_is_no_header(openai_deployment: "Deployment") -> None:
    """Whoever calls a function by hand may leave it out."""
    assert "x-request-id" not in openai_deployment.call("GET", "/health", context={"requestId": ""}).headers
