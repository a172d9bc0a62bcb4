"""Write the JSON schema of requests in messages and files from their models; `--check` tests whether it is current."""

import json
import sys
from typing import Any

from image_gateway.models.envelopes import ENVELOPE
from sandbox.generated_file import write_or_check
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
    """Write the schema: see `write_or_check`, whose exit status is returned."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    return write_or_check(TARGET, text, arguments, command="python -m sandbox.envelope_schema")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
