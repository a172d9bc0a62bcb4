"""Reads refusals of OpenAI-compatible servers, whose codes and messages differ."""

import re
from typing import Any

from image_gateway.errors import EngineRejected

_BLOCKED_CODES = ("moderation_blocked", "content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation")
_UNKNOWN_FIELD = re.compile(r"unknown|unrecogni[sz]ed|unexpected|not permitted|unsupported parameter", re.IGNORECASE)
_REFUSES_N = re.compile(
    r"['\"`]n['\"`]|\bn ?(=|must|should)|\bnumber of images\b|\b(one|single) image\b", re.IGNORECASE
)


def blocked_reason(body: Any) -> str | None:
    """Return why a refusal blocks the content; None for any other response."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    inner = error.get("innererror")
    codes = (error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None)
    return str(error.get("message") or error["code"]) if any(code in _BLOCKED_CODES for code in codes) else None


def refuses_n(error: EngineRejected) -> bool:
    """Return whether the engine refuses the number of images."""
    return error.param == "n" or bool(_REFUSES_N.search(error.detail))


def unknown_field(error: EngineRejected, body: dict[str, Any]) -> str | None:
    """Return the optional field of `body` that the engine reports as unknown, if there is one."""
    if error.engine_code != "unknown_parameter" and not _UNKNOWN_FIELD.search(error.detail):
        return None
    required = ("prompt", "model") if body.get("n") == 1 else ("prompt", "model", "n")
    optional = [name for name in body if name not in required]
    if error.param in optional:
        return error.param
    return next((name for name in optional if _names(name, error.detail)), None)


def _names(field: str, detail: str) -> bool:
    return bool(re.search(rf"['\"`]{re.escape(field)}['\"`]|\bbody\.{field}:", detail))
