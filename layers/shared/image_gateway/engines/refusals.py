"""Why a server refuses a request with a status from 400 to 499, as far as that decides whether another one may do it.

Sources: the error codes of OpenAI (`model_not_found`, `insufficient_quota`, `billing_hard_limit_reached`,
`invalid_api_key`), Azure (`DeploymentNotFound`) and Gemini (`API_KEY_INVALID`, which has the status 400); OpenRouter
answers 402 when credits are used up, and xAI 400 to a wrong key.
"""

import re
from collections.abc import Mapping
from typing import Any

_NO_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_UNKNOWN_MODEL = ("model_not_found", "DeploymentNotFound", "deployment_not_found", "invalid_model")
_REFUSED_KEY = re.compile(r"api key not valid|(incorrect|invalid) api key|api_key_invalid", re.IGNORECASE)
_NOT_THERE = re.compile(r"value not in list|cannot execute because node|missing_node_type", re.IGNORECASE)
"""ComfyUI lacks a model or a node type of the workflow."""
_UNSUPPORTED = ("size", "mask")
"""Parameters that another server may accept: nothing is made before they are checked."""


def refusal(status: int, detail: str, error: Mapping[str, Any]) -> str:
    """Return which failure a refusal is: `rate_limited`, `refused_key`, `not_configured`, `unsupported`, or empty.

    Args:
        status: the HTTP status, from 400 to 499.
        detail: the text of the response.
        error: the member `error` of its JSON; empty if it has none.
    """
    codes = (error.get("code"), error.get("type"))
    if status == 402 or any(code in _NO_QUOTA for code in codes):
        return "rate_limited"
    if "invalid_api_key" in codes or _REFUSED_KEY.search(detail):
        return "refused_key"
    param = error.get("param")
    is_unknown = any(code in _UNKNOWN_MODEL for code in codes) or param == "model" or _NOT_THERE.search(detail)
    if status in (404, 405) or is_unknown:
        return "not_configured"
    return "unsupported" if param in _UNSUPPORTED else ""
