"""Search for planted values in texts."""

import json
from urllib.parse import quote


def find_planted(text: str, *planted: str) -> set[str]:
    """Return the planted values that a text contains, unchanged or as JSON, Python's `repr` or a URL escapes them."""
    return {value for value in planted if any(escaped in text for escaped in _escaped_forms(value))}


def _escaped_forms(value: str) -> set[str]:
    """Return the forms in which a text may contain a value."""
    in_json = json.dumps(value)[1:-1]
    return {value, in_json, json.dumps(in_json)[1:-1], repr(value)[1:-1], quote(value), quote(value, safe="")}
