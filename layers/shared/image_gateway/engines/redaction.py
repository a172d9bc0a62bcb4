"""Removes secrets from text, in every spelling in which an engine may repeat them."""

import re
from collections.abc import Iterable
from functools import cache

MAX_SECRET_CHARS = 16_384
"""Longer than a secret in any spelling. The last characters of a cut text may be part of a secret, up to this many."""

# A key is looked for only where a word begins, so that the time grows linearly with the length of the text. An engine
# may be made to repeat a long prompt.
_PARTLY_MASKED = re.compile(r"(?<![\w.-])[\w.-]+\*{3,}(?:[\w.-]*[\w-])?")


_SHORT_CHARS = 8
"""A shorter secret may be part of any word, so only whole words are secret. Servers without keys often get such a one.
"""


def is_plain(secret: str) -> bool:
    """Whether a secret is a short word or number, such as `k`, `key`, `none` or `1`. It may be in any text.

    Replacing it would garble messages, and it is no secret. So it is never redacted.
    """
    return len(secret) < _SHORT_CHARS and (secret.isalpha() or secret.isdecimal())


_WORD_BEGINS = r"(?:(?<![\\\w-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
"""Where a word begins: also after an escaped character."""


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace each secret with `***`, whether as it is or escaped as in JSON, Python or URLs.

    Secrets of fewer than eight characters are replaced only where they are whole words, and not if they are plain.
    """
    escaped = "\\" in text or "%" in text
    for secret in secrets:
        if is_plain(secret):
            continue
        if len(secret) < _SHORT_CHARS:
            text = _word(secret).sub("***", text)
            continue
        text = text.replace(secret, "***")
        if escaped:
            text = _spellings(secret).sub("***", text)
    return text


def redact_partly_masked(text: str) -> str:
    """Replace keys that the engine has masked in part, such as `sk-ab****yz`, with `***`."""
    return _PARTLY_MASKED.sub("***", text)


@cache
def _spellings(secret: str) -> re.Pattern[str]:
    """Return a pattern for a secret as JSON, Python and URLs may write it, escaped once or several times.

    A run of backslashes matches as a whole or not at all, so that the time grows linearly with the length of the text.
    """
    return re.compile(r"(?<!\\)" + _spelled(secret))


@cache
def _word(secret: str) -> re.Pattern[str]:
    """Return a pattern for a short secret as a whole word. What ends with punctuation has its end there."""
    begin = _WORD_BEGINS if secret[0].isalnum() else r"(?<!\\)"
    end = r"(?![\w-])" if secret[-1].isalnum() else ""
    return re.compile(begin + _spelled(secret) + end)


def _spelled(secret: str) -> str:
    return "".join(map(_spelling, re.findall(r"\\+|[^\\]", secret)))


def _spelling(piece: str) -> str:
    """Return the pattern of one character, or of a run of backslashes."""
    code_units = piece.encode("utf-16-be").hex()
    parts = (
        "".join(rf"\\*+u{code_units[at : at + 4]}" for at in range(0, len(code_units), 4)),
        "".join(rf"\\*+x{byte:02x}" for byte in piece.encode()),
        "".join(rf"%(?:25)*+{byte:02x}" for byte in piece.encode()),
    )
    plain = rf"\\{{{len(piece)},}}+" if piece[0] == "\\" else rf"\\*+{re.escape(piece)}"
    return f"(?:{plain}|(?i:{'|'.join(parts)}){'|[+]' * (piece == ' ')})"
