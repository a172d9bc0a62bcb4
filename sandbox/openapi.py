"""Makes the OpenAPI document of the whole gateway from the functions' routes; `--check` says whether it is current."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi

from sandbox.template import ROOT, Template

TARGET = ROOT / "layers/shared/image_gateway/openapi.json"

_ABOUT = (
    "One image API over OpenAI-compatible, Gemini, ComfyUI and AUTOMATIC1111 engines. Pictures are stored in S3 and "
    "answered as presigned URLs. Errors are RFC 9457 problem documents."
)


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
    _use_problems(found)
    return found


def _use_problems(found: dict[str, Any]) -> None:
    """FastAPI documents its own shape for what does not validate; the gateway answers problem documents."""
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in found["paths"].values():
        for operation in operations.values():
            answers = operation["responses"]
            for status in [status for status in answers if status >= "400"]:
                answers[status] = {"description": answers[status]["description"], "content": content}
            if operation.get("security"):
                answers["default"] = {"description": "Any other error", "content": content}


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
