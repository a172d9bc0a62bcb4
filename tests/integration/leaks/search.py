"""Search for planted values in texts."""

import json
from urllib.parse import quote


def held(text: str, *planted: str) -> set[str]:
    """Which of what was planted a text holds, as it is or as JSON, Python or a URL spells it."""
    return {one for one in planted if any(spelled in text for spelled in _spellings(one))}


def _spellings(planted: str) -> set[str]:
    once = json.dumps(planted)[1:-1]
    return {planted, once, json.dumps(once)[1:-1], repr(planted)[1:-1], quote(planted), quote(planted, safe="")}
