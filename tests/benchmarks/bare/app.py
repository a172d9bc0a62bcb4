"""The smallest possible handler, which shows the time that the interpreter itself takes."""

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def handler(_event: "Any", _context: "Any") -> "dict[str, Any]":
    """Return a constant response."""
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps({"status": "ok"})}
