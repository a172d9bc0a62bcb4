"""Write the JSON schema of requests in messages and files from their models; `--check` tests whether it is current."""

import json
import sys
from typing import Any

from image_gateway.models.envelopes import ENVELOPE
from sandbox.template import ROOT

TARGET = ROOT / "layers/shared/image_gateway/envelope.schema.json"


def schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Request for images",
        "description": "A message of the queue, a request file, or a line of one.",
        **ENVELOPE.json_schema(),
    }


def main(arguments: list[str]) -> int:
    """Write the schema; with `--check`, report whether the file is current.

    Returns:
        The exit status: 1 if `--check` found the file out of date.
    """
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    if "--check" in arguments:
        current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
        if text != current:
            print(f"{TARGET.relative_to(ROOT)} is not current: python -m sandbox.envelope_schema")
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
