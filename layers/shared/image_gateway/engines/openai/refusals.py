"""Reads refusals of OpenAI-compatible servers, whose codes and messages differ."""

import re
from typing import Any

from image_gateway.errors import EngineRejected

_BLOCKED_CODES = ("moderation_blocked", "content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation")
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
