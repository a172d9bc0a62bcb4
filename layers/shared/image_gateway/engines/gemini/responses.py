"""Reads responses of the Gemini API: parts, refusals, delays and token counts.

Google's APIs use camelCase names in JSON, some compatible servers snake_case. Fields may be missing at every level.
"""

import re
from typing import Any

from image_gateway.engines.model_ends import model_end
from image_gateway.engines.usage import TokenCounts, text_counts, token_counts
from image_gateway.models.images import ModelInfo

NOT_REFUSALS = (
    "STOP",
    "MAX_TOKENS",
    "FINISH_REASON_UNSPECIFIED",
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)
"""Finish reasons that do not concern the content. Any other reason counts as a refusal, also a new one."""

_POLICY = re.compile(r"responsible ai|sensitive words|usage guidelines|prohibited use polic", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


def parts_of(response: Any) -> list[dict[str, Any]]:
    """Return the parts of the first candidate, without the model's thoughts."""
    content = _dict(_candidate(response).get("content"))
    parts = content.get("parts")
    objects = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [part for part in objects if not part.get("thought")]


def text_of(parts: list[dict[str, Any]]) -> str:
    """Return the joined text of all text parts."""
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str)).strip()


def inline_data(part: dict[str, Any]) -> str | bytes | None:
    """Return the image in a part, as base64 or decoded; None for any other part. The MIME type is not checked."""
    blob = _dict(part.get("inlineData") or part.get("inline_data"))
    data = blob.get("data")
    return data if isinstance(data, str | bytes) else None


def refusal(response: Any) -> str:
    """Return Google's reason and message if a 200 has no image because of its content; else an empty string."""
    feedback = _dict(_dict(response).get("promptFeedback"))
    if feedback.get("blockReason"):
        return _reason(feedback["blockReason"], feedback.get("blockReasonMessage"))
    reason = finish_reason(response)
    if reason and reason not in NOT_REFUSALS:
        return _reason(reason, _candidate(response).get("finishMessage"))
    return ""


def finish_reason(response: Any) -> str:
    """Return the first candidate's finish reason, or an empty string."""
    return str(_candidate(response).get("finishReason") or "")


def blocked(body: Any) -> str | None:
    """Return why an error response refuses the content, as `predict` does for a prompt; None if it does not."""
    message = str(_error(body).get("message") or "")
    return message if _POLICY.search(message) else None


def retry_delay(body: Any) -> float | None:
    """Return the seconds to wait from a `google.rpc.RetryInfo`, which Google sends instead of `Retry-After`."""
    details = _error(body).get("details")
    for detail in details if isinstance(details, list) else []:
        if match := _SECONDS.fullmatch(str(_dict(detail).get("retryDelay"))):
            return float(match[1])
    return None


def model_info(entry: dict[str, Any]) -> ModelInfo:
    """Return a model of the list, which has a `name`."""
    id_ = entry["name"].removeprefix("models/")
    end = model_end(id_, "gemini")
    return ModelInfo(id=id_, name=str(entry.get("displayName") or id_), ends_on=end.ends_on if end else None)


def usage_of(response: Any) -> TokenCounts | None:
    """Return the token counts under the OpenAI API's names; None if none are reported."""
    reported = _dict(_dict(response).get("usageMetadata"))
    names = {
        "promptTokenCount": "input_tokens",
        "candidatesTokenCount": "output_tokens",
        "totalTokenCount": "total_tokens",
    }
    usage: dict[str, Any] = {ours: reported.get(theirs) for theirs, ours in names.items()}
    details = {"promptTokensDetails": "input_tokens_details", "candidatesTokensDetails": "output_tokens_details"}
    usage |= {
        ours: _by_modality(reported[theirs])
        for theirs, ours in details.items()
        if isinstance(reported.get(theirs), list)
    }
    if cached := reported.get("cachedContentTokenCount"):
        known = usage.setdefault("input_tokens_details", {})
        known["cached_tokens"] = cached
        if isinstance(reported.get("cacheTokensDetails"), list):
            known["cached_tokens_details"] = _by_modality(reported["cacheTokensDetails"])
    return token_counts(usage)


def completion_usage_of(response: Any) -> TokenCounts | None:
    """Return the token counts of a completion of a language model, which are all text; None if none are reported."""
    usage = usage_of(response)
    return text_counts(usage) if usage else None


def _by_modality(details: list[Any]) -> dict[str, int]:
    """Return the number of text tokens and of image tokens."""
    counts = {"text_tokens": 0, "image_tokens": 0}
    for detail in map(_dict, details):
        name, count = f"{detail.get('modality')}".lower() + "_tokens", detail.get("tokenCount")
        if name in counts and isinstance(count, int) and not isinstance(count, bool):
            counts[name] += count
    return counts


def _candidate(response: Any) -> dict[str, Any]:
    candidates = _dict(response).get("candidates")
    return _dict(candidates[0]) if isinstance(candidates, list) and candidates else {}


def _error(body: Any) -> dict[str, Any]:
    return _dict(_dict(body).get("error"))


def _reason(reason: object, message: object) -> str:
    return f"{reason}: {message}" if message else str(reason)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
