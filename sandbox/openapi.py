"""Makes the OpenAPI document of the whole gateway from the functions' routes; `--check` says whether it is current."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi

from image_gateway.errors import InvalidRequest
from image_gateway.models.openai import ImageEditParams
from sandbox.template import ROOT, Template

TARGET = ROOT / "layers/shared/image_gateway/openapi.json"

_ABOUT = (
    "One image API over OpenAI-compatible, Gemini, ComfyUI and AUTOMATIC1111 engines. Images are stored in S3 and "
    "answered as presigned URLs. Errors are RFC 9457 problem documents, except those of paths under `/v1`, which are "
    "shaped as the OpenAI API's."
)

_HEADERS: dict[str, dict[str, Any]] = {
    "x-request-id": {"description": "Of the request, as logs have it.", "schema": {"type": "string"}},
    "x-should-retry": {
        "description": "`false`: another attempt would change nothing, or might be paid twice.",
        "schema": {"type": "string", "enum": ["false"]},
    },
    "Retry-After": {
        "description": "Seconds after which another attempt may succeed.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
}
"""Headers that answers of many routes may have."""

_FOR_NOW = ("429", "502", "503")
"""Statuses of what may be over when it is asked for again."""


def document() -> dict[str, Any]:
    """The document, with the routes of every function in the template's order."""
    serving = [function for function in Template().functions() if function.routes]
    modules = [import_module(function.handler.rpartition(".")[0]) for function in serving]
    found = get_openapi(
        title="image-gateway",
        version="0.1.0",
        description=_ABOUT,
        routes=[route for module in modules for route in module.app.routes],
    )
    found["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A token: `igw_` and 43 characters."}
    }
    found["components"]["headers"] = _HEADERS
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    # Its route reads forms as well as JSON, so that FastAPI does not know it.
    schemas["ImageEditParams"] = ImageEditParams.model_json_schema(ref_template="#/components/schemas/{model}")
    for path, operations in found["paths"].items():
        for operation in operations.values():
            operation["responses"] = _answers(operation, openai=path.startswith("/v1/"))
    return found


def _answers(operation: dict[str, Any], *, openai: bool) -> dict[str, Any]:
    """An operation's answers in the order of their statuses, with the errors in the shape of their channel.

    FastAPI documents a shape of its own for what does not validate.
    """
    answers: dict[str, Any] = dict(operation["responses"])
    if "422" in answers:
        answers["422"] = {"description": f"`{InvalidRequest.code}`"}
        if openai:
            # The OpenAI API has one status for all that is wrong with a request.
            codes = [answers.pop("422")["description"], answers.pop("400", {}).get("description")]
            answers["400"] = {"description": ", ".join(code for code in codes if code)}
    if operation.get("security"):
        answers["default"] = {"description": "Any other error"}
    kind, name = ("application/json", "OpenAIError") if openai else ("application/problem+json", "Problem")
    content = {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    for status, answer in answers.items():
        shown = {"description": answer["description"], "content": content} if status >= "400" else answer
        answers[status] = {**shown, "headers": {**answer.get("headers", {}), **_headers(status)}}
    return {status: answers[status] for status in sorted(answers)}


def _headers(status: str) -> dict[str, dict[str, str]]:
    names = ["x-request-id"]
    names += ["x-should-retry"] if status >= "400" else []
    names += ["Retry-After"] if status in _FOR_NOW else []
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def main(arguments: list[str]) -> int:
    """Write the document, or say with `--check` that it is not current."""
    text = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
    if "--check" in arguments:
        current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
        if text != current:
            print(f"{Path(TARGET).relative_to(ROOT)} is not current: make openapi")
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
