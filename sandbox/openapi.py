"""Write the OpenAPI document of the whole gateway from the functions' routes; `--check` tests whether it is current."""

import json
import sys
from importlib import import_module
from typing import Any

from fastapi.openapi.utils import get_openapi

from image_gateway import __version__
from image_gateway.errors import InvalidRequest
from image_gateway.models.openai import ImageEditParams
from sandbox.generated_file import write_or_check
from sandbox.template import ROOT, Template

TARGET = ROOT / "layers/shared/image_gateway/openapi.json"

_DESCRIPTION = (
    "One image API over OpenAI-compatible, Gemini, ComfyUI and AUTOMATIC1111 engines. Images are stored in S3 and "
    "returned as presigned URLs. Errors are RFC 9457 problem documents, except under `/v1`, where they have the format "
    "of the OpenAI API."
)

_HEADERS: dict[str, dict[str, Any]] = {
    "x-request-id": {"description": "The request's id, as in the logs.", "schema": {"type": "string"}},
    "x-should-retry": {
        "description": "`false`: a retry would fail again, or the engine might charge for it twice.",
        "schema": {"type": "string", "enum": ["false"]},
    },
    "Retry-After": {
        "description": "Seconds after which a retry may succeed.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "x-image-gateway-connection": {
        "description": "The connection that the job has used last, or uses.",
        "schema": {"type": "string"},
    },
    "x-image-gateway-cost": {
        "description": "What the job cost, in US dollars, as soon as that is known; also that of a failed job.",
        "schema": {"type": "string", "examples": ["0.042000"]},
    },
}
"""Headers that the responses of many routes may have."""

_TEMPORARY = ("429", "502", "503")
"""Statuses of errors after which a retry may succeed."""


def document() -> dict[str, Any]:
    """Return the OpenAPI document, with the routes of every function in the template's order."""
    http_functions = [function for function in Template().functions() if function.routes]
    modules = [import_module(function.handler.rpartition(".")[0]) for function in http_functions]
    # The console's function has no application: it serves files, which are no part of the API.
    modules = [module for module in modules if hasattr(module, "app")]
    openapi = get_openapi(
        title="image-gateway",
        version=__version__,
        description=_DESCRIPTION,
        routes=[route for module in modules for route in module.app.routes],
    )
    openapi["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A token: `igw_` and 43 characters."}
    }
    openapi["components"]["headers"] = _HEADERS
    schemas = openapi["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    # FastAPI does not know this model, because its route parses the body itself: a form or JSON.
    schemas["ImageEditParams"] = ImageEditParams.model_json_schema(ref_template="#/components/schemas/{model}")
    for path, operations in openapi["paths"].items():
        for operation in operations.values():
            operation["responses"] = _responses(operation, is_openai=path.startswith("/v1/"))
    return openapi


def _responses(operation: dict[str, Any], *, is_openai: bool) -> dict[str, Any]:
    """Return an operation's responses in the order of their statuses, with errors in the format of their API.

    They replace FastAPI's own format for validation errors.
    """
    responses: dict[str, Any] = dict(operation["responses"])
    if "422" in responses:
        responses["422"] = {"description": f"`{InvalidRequest.code}`"}
        if is_openai:
            # The OpenAI API uses one status, 400, for all invalid requests.
            codes = [responses.pop("422")["description"], responses.pop("400", {}).get("description")]
            responses["400"] = {"description": ", ".join(code for code in codes if code)}
    if operation.get("security"):
        responses["default"] = {"description": "Any other error"}
    media_type, schema = ("application/json", "OpenAIError") if is_openai else ("application/problem+json", "Problem")
    content = {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    for status, response in responses.items():
        documented = {"description": response["description"], "content": content} if status >= "400" else response
        headers = _headers(status, is_about_job="303" in responses)
        responses[status] = {**documented, "headers": {**response.get("headers", {}), **headers}}
    return {status: responses[status] for status in sorted(responses)}


def _headers(status: str, *, is_about_job: bool) -> dict[str, dict[str, str]]:
    names = ["x-request-id"]
    names += ["x-image-gateway-connection", "x-image-gateway-cost"] if is_about_job else []
    names += ["x-should-retry"] if status >= "400" else []
    names += ["Retry-After"] if status in _TEMPORARY else []
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def main(arguments: list[str]) -> int:
    """Write the document: see `write_or_check`, whose exit status is returned."""
    text = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    return write_or_check(TARGET, text, arguments, command="make openapi")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
