"""An engine's own words about a failure, made fit to be shown."""

import html
import re
from collections.abc import Iterable
from typing import Any

_MAX_WORDS = 600
_DEEPEST = 8
# What is left open ends with the text, and a key is looked for where a word begins: so the time grows with the length
# alone, whoever has the engine repeat a long prompt.
_TAGS = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1>|\Z)|</?[a-z!][^<>]*>", re.DOTALL | re.IGNORECASE)
_PARTLY_MASKED = re.compile(r"(?<![\w.-])[\w.-]+\*{3,}(?:[\w.-]*[\w-])?")


def find_message(body: Any, depth: int = 0) -> str:
    """The human part of an error body, in any of the shapes engines use; empty where there is none."""
    if isinstance(body, str):
        return body
    if depth == _DEEPEST:
        return ""
    if isinstance(body, list):
        return "; ".join(filter(None, (find_message(item, depth + 1) for item in body)))
    if not isinstance(body, dict):
        return ""
    if "loc" in body and "msg" in body:
        place = body["loc"] if isinstance(body["loc"], list) else [body["loc"]]
        return f"{'.'.join(map(str, place))}: {body['msg']}"
    parts: list[str] = []
    for key in ("error", "message", "detail", "details", "errors", "msg"):
        part = find_message(body.get(key), depth + 1)
        if part and not any(part in said for said in parts):
            parts = [*(said for said in parts if said not in part), part]
    return ": ".join(parts)


def without_markup(text: str) -> str:
    """The text of an HTML page, or a text as it is."""
    return html.unescape(_TAGS.sub(" ", text))


def one_line(text: str, secrets: Iterable[str]) -> str:
    """The text in one bounded line of printable characters; secrets, also partly masked ones, read `***`."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    text = _PARTLY_MASKED.sub("***", text)
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _MAX_WORDS else line[:_MAX_WORDS] + " …"
