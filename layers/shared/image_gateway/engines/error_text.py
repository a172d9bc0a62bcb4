"""Finds the error text in an engine's response and makes it safe to show: one short line without markup or secrets."""

import html
import re
from collections.abc import Iterable
from typing import Any

from image_gateway.engines.redaction import MAX_SECRET_CHARS, redact, redact_partly_masked

_MAX_LINE_CHARS = 600
_MAX_READ_CHARS = 32_768
_MAX_DEPTH = 8
_MAX_ITEMS = 100
# An unclosed tag matches to the end of the text, so that the time grows linearly with the length. An engine may be made
# to repeat a long prompt.
_TAGS = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1>|\Z)|</?[a-z!][^<>]*>", re.DOTALL | re.IGNORECASE)


def find_message(body: Any, depth: int = 0) -> str:
    """Return the human-readable part of an error body in any of the shapes that engines use; empty if there is none."""
    if isinstance(body, str):
        return body
    if depth == _MAX_DEPTH:
        return ""
    if isinstance(body, list):
        return "; ".join(filter(None, (find_message(item, depth + 1) for item in body[:_MAX_ITEMS])))
    if not isinstance(body, dict):
        return ""
    if "loc" in body and "msg" in body:
        location = body["loc"] if isinstance(body["loc"], list) else [body["loc"]]
        return f"{'.'.join(map(str, location))}: {body['msg']}"
    parts: list[str] = []
    for key in ("error", "message", "detail", "details", "errors", "msg"):
        part = find_message(body.get(key), depth + 1)
        if part and not any(part in earlier for earlier in parts):
            parts = [*(earlier for earlier in parts if earlier not in part), part]
    return ": ".join(parts)


def one_line(text: str, secrets: Iterable[str]) -> str:
    """Return the text as one line of at most 600 printable characters, without markup.

    Secrets become `***`, in any spelling and also where the engine has masked them in part. Only the beginning of a
    very long text is read.
    """
    is_cut, text = len(text) >= _MAX_READ_CHARS, text[:_MAX_READ_CHARS]
    secrets = tuple(filter(None, secrets))
    # Redact before and after markup is removed: a secret may contain what looks like markup, and may be spelled in it.
    text = html.unescape(_TAGS.sub(" ", redact(text, secrets)))
    text = redact_partly_masked(redact(text, secrets))
    if is_cut:
        text = text[:-MAX_SECRET_CHARS]
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _MAX_LINE_CHARS else line[:_MAX_LINE_CHARS] + " …"
