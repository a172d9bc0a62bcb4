"""An engine's own words about a failure, made fit to be shown."""

import html
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

_MAX_WORDS = 600
_READ = 32_768
_SPLIT = 16_384
"""Longer than a secret in any spelling: so much of a text that was cut may end in a part of one."""
_DEEPEST = 8
_MOST = 100
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
        return "; ".join(filter(None, (find_message(item, depth + 1) for item in body[:_MOST])))
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


def one_line(text: str, secrets: Iterable[str]) -> str:
    """The text in one bounded line of printable characters, without markup.

    Secrets read `***`: whole in any spelling, and partly masked ones. Of a very long text only the beginning is read.
    """
    cut, text = len(text) >= _READ, text[:_READ]
    secrets = tuple(filter(None, secrets))
    # What is markup to a reader may be part of a secret, and what it stands for may be one.
    text = html.unescape(_TAGS.sub(" ", _without(text, secrets)))
    text = _PARTLY_MASKED.sub("***", _without(text, secrets))
    if cut:
        text = text[:-_SPLIT]
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _MAX_WORDS else line[:_MAX_WORDS] + " …"


def _without(text: str, secrets: Iterable[str]) -> str:
    escaped = "\\" in text or "%" in text
    for secret in secrets:
        text = text.replace(secret, "***")
        if escaped:
            text = _spellings(secret).sub("***", text)
    return text


@cache
def _spellings(secret: str) -> re.Pattern[str]:
    """Finds a secret as JSON, Python and URLs may write it, once or several times over.

    Each run of backslashes is read whole or not at all: so the time grows with the text's length alone.
    """
    return re.compile(r"(?<!\\)" + "".join(map(_spelling, re.findall(r"\\+|[^\\]", secret))))


def _spelling(piece: str) -> str:
    """The pattern of one character, or of a run of backslashes."""
    code_units = piece.encode("utf-16-be").hex()
    parts = (
        "".join(rf"\\*+u{code_units[at : at + 4]}" for at in range(0, len(code_units), 4)),
        "".join(rf"\\*+x{byte:02x}" for byte in piece.encode()),
        "".join(rf"%(?:25)*+{byte:02x}" for byte in piece.encode()),
    )
    plain = rf"\\{{{len(piece)},}}+" if piece[0] == "\\" else rf"\\*+{re.escape(piece)}"
    return f"(?:{plain}|(?i:{'|'.join(parts)}){'|[+]' * (piece == ' ')})"
