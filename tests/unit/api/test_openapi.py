"""The OpenAPI document is that of all functions, current, and true about who may do what."""

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
from image_gateway.api.routing import GuardedRoute
from image_gateway.errors import GatewayError
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm, VerifyForm
from image_gateway.models.images import ImageInfo, Problem
from image_gateway.models.openai import ImageEditParams, ImageGenerateParams, ImagesResponse, OpenAIError, OpenAIModels
from sandbox import openapi
from sandbox.template import Template

DOCUMENT: dict[str, Any] = json.loads(openapi.TARGET.read_text())
FORMS: tuple[type[BaseModel], ...] = (
    ImagesConfig, CreateImageForm, EditImageForm, VerifyForm, ImageGenerateParams, ImageEditParams,
    ImagesResponse, OpenAIError, OpenAIModels, ImageInfo, Problem,
)  # fmt: skip


def guarded_routes() -> Iterator[GuardedRoute]:
    for function in Template().functions():
        if not function.routes:
            continue
        for route in import_module(function.handler.rpartition(".")[0]).app.routes:
            if isinstance(route, GuardedRoute) and route.include_in_schema:
                yield route


ROUTES = list(guarded_routes())
"""Every documented route of every function."""


def errors(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    for error in kind.__subclasses__():
        yield error
        yield from errors(error)


def operation(route: APIRoute) -> dict[str, Any]:
    methods: dict[str, dict[str, Any]] = DOCUMENT["paths"][route.path_format]
    return methods[next(iter(route.methods or ())).lower()]


def test_it_is_an_openapi_document() -> None:
    """The document has the form of an OpenAPI document."""
    assert OpenAPI.model_validate(DOCUMENT).openapi.startswith("3.")
    validate(DOCUMENT)


def test_references_lead_somewhere() -> None:
    """Every `$ref` names a part of the document."""
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', openapi.TARGET.read_text())):
        part = DOCUMENT
        for name in reference.split("/"):
            part = part[name]


def test_it_is_current() -> None:
    """The document in the layer is the one that the routes make."""
    assert openapi.main(["--check"]) == 0


def test_it_has_every_route() -> None:
    """The document has the functions' routes, each with a summary of what it does, and no other."""
    documented = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert documented == {(method.lower(), route.path_format) for route in ROUTES for method in route.methods or ()}
    assert all(operation(route)["description"] for route in ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.name} {route.path}")
def test_who_may_use_a_route(route: GuardedRoute) -> None:
    """A route that needs a token has a bearer's security and says 401 and 403; a public one has none of it."""
    documented = operation(route)

    secured = route.rule is not Access.PUBLIC
    assert documented.get("security") == ([{"bearer": []}] if secured else None)
    assert ({"401", "403"} <= set(documented["responses"])) is secured


def test_errors_have_the_shape_of_their_channel() -> None:
    """Every error answer is documented as a problem document; those of the OpenAI channel as that API has them."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    openai = {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}}
    for route in ROUTES:
        for status, answer in operation(route)["responses"].items():
            if status >= "400":
                assert answer["content"] == (openai if route.path.startswith("/v1/") else problem)


def test_headers_are_documented_where_they_are_sent() -> None:
    """Every answer has its request's id; errors say whether to send it again, and when; `/v1` has warnings."""
    warned = set()
    for route in ROUTES:
        for status, answer in operation(route)["responses"].items():
            names = set(answer["headers"])
            assert "x-request-id" in names
            assert ("x-should-retry" in names) is (status >= "400")
            assert ("Retry-After" in names) is (status in {"429", "502", "503"})
            if "x-image-gateway-warnings" in names:
                warned.add((route.path, status))
    images = ("/v1/images/generations", "/v1/images/edits", "/v1/images/jobs/{id}/result")
    assert warned == {(path, status) for path in images for status in ("200", "303")} | {("/v1/models", "200")}


def test_it_says_what_errors_look_like() -> None:
    """Those of the two kinds of channels differ."""
    assert "RFC 9457 problem documents, except those of paths under `/v1`" in DOCUMENT["info"]["description"]


def test_both_bodies_of_an_edit_have_an_example() -> None:
    """A form's has the fields of a form."""
    body = DOCUMENT["paths"]["/v1/images/edits"]["post"]["requestBody"]["content"]

    example = body["multipart/form-data"]["example"]
    assert set(example) <= set(body["multipart/form-data"]["schema"]["properties"])
    assert {"prompt", "image"} <= set(example)
    assert DOCUMENT["components"]["schemas"]["ImageEditParams"]["examples"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.name} {route.path}")
def test_errors_name_their_codes(route: GuardedRoute) -> None:
    """Every error answer says which codes it may come with, and each code is documented under its own status."""
    statuses = {error.code: error.status for error in errors(GatewayError)}
    openai = route.path.startswith("/v1/")
    for status, answer in operation(route)["responses"].items():
        if "400" <= status < "600":
            codes = re.findall(r"`(\w+)`", answer["description"])
            assert codes
            assert {400 if openai and statuses[code] == 422 else statuses[code] for code in codes} == {int(status)}


def test_examples_are_valid() -> None:
    """Every example is one that its form or answer takes, and those that are sent and answered most have one."""
    documented = DOCUMENT["components"]["schemas"]
    assert [form.__name__ for form in FORMS[1:] if not documented[form.__name__].get("examples")] == ["VerifyForm"]
    for form in FORMS:
        schema = DOCUMENT["components"]["schemas"].get(form.__name__, {})
        for example in schema.get("examples", []):
            form.model_validate(example)
        for name, field in schema.get("properties", {}).items():
            for example in field.get("examples", []):
                form.__pydantic_validator__.validate_assignment(form.model_construct(), name, example)


def test_check_tells_what_is_not_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A document that is missing or old is named together with the command that makes it; nothing is written."""
    monkeypatch.setattr(openapi, "ROOT", tmp_path)
    monkeypatch.setattr(openapi, "TARGET", tmp_path / "openapi.json")

    assert openapi.main(["--check"]) == 1
    assert capsys.readouterr().out == "openapi.json is not current: make openapi\n"
    assert not openapi.TARGET.exists()


def test_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--check` the document is written, and is current then."""
    monkeypatch.setattr(openapi, "TARGET", tmp_path / "openapi.json")

    assert openapi.main([]) == 0
    assert openapi.main(["--check"]) == 0
    assert json.loads(openapi.TARGET.read_text())["info"]["title"] == "image-gateway"
