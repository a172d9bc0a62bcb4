"""The OpenAPI document covers all functions, is current, and states the access rules of the routes."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi.openapi.models import OpenAPI
from fastapi.routing import APIRoute
from openapi_spec_validator import validate
from pydantic import BaseModel

from image_gateway.api import Access
from image_gateway.api.documented_errors import OPENAI_CODES
from image_gateway.api.routing import GuardedRoute
from image_gateway.errors import GatewayError
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm, VerifyForm
from image_gateway.models.images import ImageInfo, Problem
from image_gateway.models.openai import ImageEditParams, ImageGenerateParams, ImagesResponse, OpenAIError, OpenAIModels
from sandbox import openapi
from sandbox.template import Template

DOCUMENT: dict[str, Any] = json.loads(openapi.TARGET.read_text())
MODELS: tuple[type[BaseModel], ...] = (
    ImagesConfig, CreateImageForm, EditImageForm, VerifyForm, ImageGenerateParams, ImageEditParams,
    ImagesResponse, OpenAIError, OpenAIModels, ImageInfo, Problem,
)  # fmt: skip


def guarded_routes() -> Iterator[GuardedRoute]:
    for function in Template().functions():
        # The console's function has no application: it serves files, which are no part of the API.
        app = getattr(import_module(function.handler.rpartition(".")[0]), "app", None) if function.routes else None
        for route in app.routes if app else ():
            if isinstance(route, GuardedRoute) and route.include_in_schema:
                yield route


ROUTES = list(guarded_routes())
"""Every documented route of every function."""


def error_classes(base: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for error in base.__subclasses__():
        yield error
        yield from error_classes(error)


def operation(route: APIRoute) -> dict[str, Any]:
    methods: dict[str, dict[str, Any]] = DOCUMENT["paths"][route.path_format]
    return methods[next(iter(route.methods or ())).lower()]


def test_the_document_is_valid() -> None:
    """The document conforms to the OpenAPI specification."""
    assert OpenAPI.model_validate(DOCUMENT).openapi.startswith("3.")
    validate(DOCUMENT)


def test_all_references_resolve() -> None:
    """Every `$ref` points to a part of the document."""
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', openapi.TARGET.read_text())):
        part = DOCUMENT
        for name in reference.split("/"):
            part = part[name]


def test_the_document_in_the_layer_is_current() -> None:
    """The file is what the routes generate now."""
    assert openapi.main(["--check"]) == 0


def test_the_document_has_exactly_the_routes_of_the_functions() -> None:
    """Every route is documented with a description, and no other route is."""
    documented = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert documented == {(method.lower(), route.path_format) for route in ROUTES for method in route.methods or ()}
    assert all(operation(route)["description"] for route in ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.name} {route.path}")
def test_access_rules_are_documented(route: GuardedRoute) -> None:
    """A route that requires a token documents bearer authentication, 401 and 403; a public route does not."""
    documented = operation(route)

    secured = route.rule is not Access.PUBLIC
    assert documented.get("security") == ([{"bearer": []}] if secured else None)
    assert ({"401", "403"} <= set(documented["responses"])) is secured


def test_error_responses_have_the_format_of_their_channel() -> None:
    """Error responses are documented as problem documents, and in the OpenAI channel in the format of that API."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    openai = {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}}
    for route in ROUTES:
        for status, response in operation(route)["responses"].items():
            if status >= "400":
                assert response["content"] == (openai if route.path.startswith("/v1/") else problem)


def test_response_headers_are_documented() -> None:
    """All responses have the request id, errors have the retry headers, and `/v1` has warnings."""
    with_warnings = set()
    for route in ROUTES:
        for status, response in operation(route)["responses"].items():
            names = set(response["headers"])
            assert "x-request-id" in names
            assert ("x-should-retry" in names) is (status >= "400")
            assert ("Retry-After" in names) is (status in {"429", "502", "503"})
            if "x-image-gateway-warnings" in names:
                with_warnings.add((route.path, status))
    image_paths = ("/v1/images/generations", "/v1/images/edits", "/v1/images/jobs/{id}/result")
    assert with_warnings == {(path, status) for path in image_paths for status in ("200", "303")} | {
        ("/v1/models", "200")
    }


def test_the_description_states_the_error_formats() -> None:
    """The formats of the gateway's own routes and of the OpenAI channel differ."""
    assert "RFC 9457 problem documents, except under `/v1`" in DOCUMENT["info"]["description"]


def test_both_request_bodies_of_an_openai_edit_have_an_example() -> None:
    """The example of the form has only fields of the form."""
    body = DOCUMENT["paths"]["/v1/images/edits"]["post"]["requestBody"]["content"]

    example = body["multipart/form-data"]["example"]
    assert set(example) <= set(body["multipart/form-data"]["schema"]["properties"])
    assert {"prompt", "image"} <= set(example)
    assert DOCUMENT["components"]["schemas"]["ImageEditParams"]["examples"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.name} {route.path}")
def test_error_responses_list_their_codes(route: GuardedRoute) -> None:
    """Every error response lists its possible codes, and each code is documented under its own status."""
    statuses = {error.code: error.status for error in error_classes(GatewayError)}
    openai = route.path.startswith("/v1/")
    if openai:
        statuses = {OPENAI_CODES.get(code, code): number for code, number in statuses.items()}
    for status, response in operation(route)["responses"].items():
        if "400" <= status < "600":
            codes = re.findall(r"`(\w+)`", response["description"])
            assert codes
            assert {400 if openai and statuses[code] == 422 else statuses[code] for code in codes} == {int(status)}


def test_examples_validate() -> None:
    """Every example validates against its own model, and the most important models have an example."""
    documented = DOCUMENT["components"]["schemas"]
    assert [form.__name__ for form in MODELS[1:] if not documented[form.__name__].get("examples")] == ["VerifyForm"]
    for form in MODELS:
        schema = DOCUMENT["components"]["schemas"].get(form.__name__, {})
        for example in schema.get("examples", []):
            form.model_validate(example)
        for name, field in schema.get("properties", {}).items():
            for example in field.get("examples", []):
                form.__pydantic_validator__.validate_assignment(form.model_construct(), name, example)


def test_check_reports_an_outdated_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--check` names a missing or outdated document and the command that generates it, and writes nothing."""
    monkeypatch.setattr(openapi, "TARGET", tmp_path / "openapi.json")

    assert openapi.main(["--check"]) == 1
    assert capsys.readouterr().out == "openapi.json is not current: make openapi\n"
    assert not openapi.TARGET.exists()


def test_the_document_is_written_without_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--check` the document is generated, and is current afterwards."""
    monkeypatch.setattr(openapi, "TARGET", tmp_path / "openapi.json")

    assert openapi.main([]) == 0
    assert openapi.main(["--check"]) == 0
    assert json.loads(openapi.TARGET.read_text())["info"]["title"] == "image-gateway"
