"""Public pages, unknown paths and internal errors."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from functions.edit.app import handler as edit_handler
from functions.generate.app import handler as generate_handler
from image_gateway.api.app import Handler
from sandbox.front import http_event

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

CONFIG = "/api/v1/images/config"


def test_public_pages_need_no_token_and_load_nothing_from_other_hosts(deployment: "Deployment") -> None:
    """Health, the OpenAPI document and the documentation are served without a token."""
    health = deployment.call("GET", "/health", role=None)
    document = deployment.call("GET", "/openapi.json", role=None)
    page = deployment.call("GET", "/docs", role=None)

    assert health.json == {"status": "ok"}
    assert "/api/v1/images/generations" in document.json["paths"]
    assert "://" not in page.text.replace("http://www.w3.org", "")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"docs/{asset}" in page.text
        assert len(deployment.call("GET", f"/docs/{asset}", role=None).text) > 10_000
    assert deployment.call("GET", "/docs/..%2fopenapi.json", role=None).status == 404


def test_unknown_paths_and_methods_have_documented_errors(deployment: "Deployment") -> None:
    """They are problem documents, and OpenAI's errors under `/v1`."""
    assert deployment.call("GET", "/api/v1/images/nothing").json["code"] == "not_found"
    assert deployment.call("DELETE", CONFIG).json["code"] == "method_not_allowed"
    assert deployment.call("GET", "/v1/nothing").json["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["//v1/images/generations", "///v1/images/generations"])
def test_a_function_url_with_its_own_slash_is_a_base_url(openai_deployment: "Deployment", path: str) -> None:
    """AWS's URLs end with a slash, and people add `/v1` to them. The redirects are relative, so they work as well."""
    response = openai_deployment.call("POST", path, {"prompt": "a fox", "size": "64x64"}, role="user")
    without_token = openai_deployment.call("POST", path, {"prompt": "a fox"}, role=None)

    assert (response.status, without_token.status) == (200, 401)


@pytest.mark.parametrize("path", ["/v1/images/generations", "/api/v1/images/generations"])
def test_the_url_of_the_edit_function_serves_generations(openai_deployment: "Deployment", path: str) -> None:
    """A client that does both, and that follows no redirects, has one base URL."""
    openai_deployment.activate()
    headers = {"authorization": f"Bearer {openai_deployment.tokens['user']}", "content-type": "application/json"}
    response = call_function(edit_handler, "POST", path, headers, {"prompt": "a fox", "size": "64x64"})

    assert response["statusCode"] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/models"), ("POST", "//v1/images/edits"), ("POST", "/v1/images/edits")]
)
def test_an_address_without_the_route_says_what_a_base_url_is(deployment: "Deployment", method: str, path: str) -> None:
    """The method and the path are right: only the address is not."""
    deployment.activate()

    response = call_function(generate_handler, method, path, {}, {})

    assert response["statusCode"] == 404
    assert "a base URL is the API's URL and /v1, with one slash between them" in response["body"]


def call_function(handler: Handler, method: str, path: str, headers: dict[str, str], body: Any) -> dict[str, Any]:
    """Call a function by its own URL."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.1", 1),
        "server": ("abc.lambda-url.eu-central-1.on.aws", 443),
        "scheme": "https",
    }
    return handler(http_event(Request(scope), json.dumps(body).encode(), {}, "$default"), None)


def test_a_wrong_path_with_several_slashes_has_the_error_of_its_api(deployment: "Deployment") -> None:
    """Clients of the OpenAI API can read no other."""
    response = deployment.call("POST", "//v1/images/variations", role=None)

    assert (response.status, response.json["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/v1/images/variations", 404, "send the image with a prompt to POST /v1/images/edits"),
        ("POST", "/v1/chat/completions", 404, "This gateway makes images only. It has POST /v1/images/generations"),
        ("POST", "/v1//images/generations", 404, "set a base URL that ends with /v1, without a slash after it"),
        ("POST", "/v1/v1/images/generations", 404, "the base URL ends with /v1 already"),
        ("POST", "/v1/images/generations/", 404, "send POST /v1/images/generations"),
        ("GET", "/v1/images/generations", 405, "send POST /v1/images/generations"),
        ("DELETE", "/v1/models", 405, "send GET /v1/models"),
        ("GET", "/v1/", 404, "It has POST /v1/images/generations, POST /v1/images/edits and GET /v1/models"),
    ],
)
def test_an_unknown_path_of_the_openai_api_says_what_to_do(
    deployment: "Deployment", method: str, path: str, status: int, text: str
) -> None:
    """Clients show the message of an error in OpenAI's format, and need no token for this one."""
    response = deployment.call(method, path, role=None)

    error = response.json["error"]
    assert response.status == status
    assert text in error["message"]
    assert (error["type"], error["code"]) == (
        "invalid_request_error",
        "method_not_allowed" if status == 405 else "not_found",
    )


def test_an_unexpected_exception_is_a_500_without_its_message(
    deployment: "Deployment", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception's message may contain request data, so that neither the response nor the log has it."""

    async def broken() -> None:
        raise RuntimeError("planted-message")

    monkeypatch.setattr(deployment.gateway.configs, "read", broken)

    response = deployment.call("GET", CONFIG)

    assert (response.status, response.json["code"]) == (500, "internal_error")
    assert "planted" not in response.text + caplog.text
    assert "RuntimeError" in str([record.__dict__ for record in caplog.records])


def test_an_error_contains_the_request_id_of_api_gateway(deployment: "Deployment") -> None:
    """One id finds the request in every log."""
    assert len(deployment.call("GET", CONFIG, role=None).json["request_id"]) == 16
