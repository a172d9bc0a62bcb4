"""Reading what the Gemini API answers: parts, refusals, delays and token counts.

JSON of Google's APIs has camelCase names, and snake_case ones on some compatible servers; fields may be missing at
every level.
"""

import re
from typing import Any

NO_REFUSALS = (
    "STOP",
    "MAX_TOKENS",
    "FINISH_REASON_UNSPECIFIED",
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)
"""Finish reasons that say nothing about the content; every other one, a new one too, is a refusal."""

_POLICY = re.compile(r"responsible ai|sensitive words|usage guidelines|prohibited use polic", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


def parts_of(answer: Any) -> list[dict[str, Any]]:
    """The parts of the first candidate, without the model's thoughts."""
    content = _dict(_candidate(answer).get("content"))
    parts = content.get("parts")
    found = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [part for part in found if not part.get("thought")]


def text_of(parts: list[dict[str, Any]]) -> str:
    """The text of all text parts."""
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str)).strip()


def inline_data(part: dict[str, Any]) -> str | bytes | None:
    """The image in a part, as base64 or decoded, whatever its mime type says; None for any other part."""
    blob = _dict(part.get("inlineData") or part.get("inline_data"))
    data = blob.get("data")
    return data if isinstance(data, str | bytes) else None


def refusal(answer: Any) -> str:
    """Why a 200 holds nothing, where the content is the reason: Google's reason and message. Else empty."""
    feedback = _dict(_dict(answer).get("promptFeedback"))
    if feedback.get("blockReason"):
        return _reason(feedback["blockReason"], feedback.get("blockReasonMessage"))
    reason = finish_reason(answer)
    if reason and reason not in NO_REFUSALS:
        return _reason(reason, _candidate(answer).get("finishMessage"))
    return ""


def finish_reason(answer: Any) -> str:
    """The first candidate's finish reason, or empty."""
    return str(_candidate(answer).get("finishReason") or "")


def blocked(body: Any) -> str | None:
    """Why an error answer refuses the content (`predict` does so for a prompt), or None where it does not."""
    message = str(_error(body).get("message") or "")
    return message if _POLICY.search(message) else None


def retry_delay(body: Any) -> float | None:
    """Seconds to wait that a `google.rpc.RetryInfo` names: Google sends it in place of `Retry-After`."""
    details = _error(body).get("details")
    for detail in details if isinstance(details, list) else []:
        if found := _SECONDS.fullmatch(str(_dict(detail).get("retryDelay"))):
            return float(found[1])
    return None


def usage_of(answer: Any) -> dict[str, Any] | None:
    """Token counts under the names that the OpenAI API gives them, or None where none are told."""
    reported = _dict(_dict(answer).get("usageMetadata"))
    names = {
        "promptTokenCount": "input_tokens",
        "candidatesTokenCount": "output_tokens",
        "totalTokenCount": "total_tokens",
    }
    usage: dict[str, Any] = {
        ours: reported[theirs] for theirs, ours in names.items() if isinstance(reported.get(theirs), int)
    }
    details = {"promptTokensDetails": "input_tokens_details", "candidatesTokensDetails": "output_tokens_details"}
    usage |= {
        ours: _by_modality(reported[theirs])
        for theirs, ours in details.items()
        if isinstance(reported.get(theirs), list)
    }
    return usage or None


def _by_modality(details: list[Any]) -> dict[str, int]:
    """How many of some tokens are text and how many images."""
    counts = {"text_tokens": 0, "image_tokens": 0}
    for detail in map(_dict, details):
        name, count = f"{detail.get('modality')}".lower() + "_tokens", detail.get("tokenCount")
        if name in counts and isinstance(count, int):
            counts[name] += count
    return counts


def _candidate(answer: Any) -> dict[str, Any]:
    candidates = _dict(answer).get("candidates")
    return _dict(candidates[0]) if isinstance(candidates, list) and candidates else {}


def _error(body: Any) -> dict[str, Any]:
    return _dict(_dict(body).get("error"))


def _reason(reason: object, message: object) -> str:
    return f"{reason}: {message}" if message else str(reason)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
