"""The least that Lambda can run: what an interpreter takes that has nothing to do."""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def handler(_event: "Any", _context: "Any") -> "dict[str, Any]":
    """Answer a constant."""
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps({"status": "ok"})}
