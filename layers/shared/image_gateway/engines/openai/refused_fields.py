"""Recognizes which fields of a request an OpenAI-compatible server does not support.

Every server says it in its own words, so the name of a field counts, and its place beside words of refusal. A value
that is refused, such as a size, is the caller's error: the image would not be the requested one.
"""

import re
from typing import Any

from image_gateway.errors import EngineRejected

OUTPUT_FIELDS = ("output_format", "output_compression")
"""Fields that the gateway applies itself if the server does not support them."""

_CONVERTED_FORMATS = ("png", "jpeg", "webp")
_REQUIRED = ("prompt", "model", "image", "mask")
_UNKNOWN_CODES = ("unknown_parameter", "unsupported_parameter", "unknown_field", "extra_forbidden")

_NOUN = r"(?:param(?:eter)?|arg(?:ument)?|field|option|setting|property|propertie|key|input)(?:\(s\)|s)?"
_UNKNOWN = r"(?:unknown|unrecogni[sz]ed|unexpected|unsupported)"
_NOT_SUPPORTED = r"(?:not\s+(?:supported|allowed|permitted|accepted|recogni[sz]ed|available))"
_DOES_NOT_SUPPORT = r"(?:(?:does\s+not|doesn't|do\s+not|don't|cannot|can't)\s+(?:support|accept|allow|take))"
_NAME = r"""['"`]?[a-z_]\w*['"`]?"""
_ITEM = rf"""{_NAME}(?:\s*[:=]\s*(?:'[^']*'|"[^"]*"|[\w.]+))?"""

_NAMED_AFTER = re.compile(
    # Such as: Argument not supported: size. Or: … does not support parameters of these names, as a list or an object.
    rf"(?:{_UNKNOWN}|invalid|{_NOT_SUPPORTED}|{_DOES_NOT_SUPPORT})"
    rf"(?:\s+(?:(?:the|request|keyword|body|extra|additional)\s+)*{_NOUN}(?:\s+(?:supplied|provided|in\s+object))*[\s:]+"
    rf"|(?<!invalid)\s*:\s*|(?<!invalid)\s+(?:the\s+)?(?=['\"`]))"
    rf"[\[{{(\s]*(?P<names>{_ITEM}(?:[\s,]+(?:(?:and|or)\s+)?{_ITEM})*)",
    re.IGNORECASE,
)
_NAMED_BEFORE = (
    # Such as: quality is not a valid parameter. Or: Setting 'style' is not supported.
    rf"""(?:(?:^|[.:;,([{{]\s*|\b{_NOUN}\s+)(?:body\.)?['"`]?|['"`])%s(?:['"`]|\b)(?:\s+{_NOUN})?"""
    rf"""(?:\s*:\s*(?:extra\s+\w+\s+)?|\s+)(?:(?:is|was|are|were|should)\s+)?"""
    rf"""(?:{_NOT_SUPPORTED}|not\s+exist|not\s+an?\s+(?:valid|supported|known|recogni[sz]ed)\s+{_NOUN}|{_UNKNOWN}"""
    rf"""|are\s+{_NOT_SUPPORTED}|an?\s+{_UNKNOWN}\s+{_NOUN})"""
)
_REFUSES_A_FIELD = re.compile(
    rf"unknown|unrecogni[sz]ed|unexpected|not permitted|unsupported {_NOUN}|{_NOUN}\b.{{0,40}}?{_NOT_SUPPORTED}",
    re.IGNORECASE,
)
_REFUSES_A_VALUE = re.compile(r"invalid|must|not |unsupported|supported|expected|one of", re.IGNORECASE)


def refused_fields(error: EngineRejected, body: dict[str, Any]) -> list[str]:
    """Return the optional fields of `body` that the server does not support, by its refusal.

    These are never the prompt, the model and images, nor the number of images if it is not one. `output_format` is
    among them also if only its value is refused, as far as the gateway can convert to it.
    """
    required = _REQUIRED if body.get("n") == 1 else (*_REQUIRED, "n")
    optional = [name for name in body if name not in required]
    names = _names_after(error.detail)
    refused = [name for name in optional if name in names or _is_named_before(name, error.detail)]
    if not refused and error.param in optional and _refuses_param(error):
        refused = [error.param]
    if not refused and _refuses_format(error, body):
        refused = ["output_format"]
    # Servers refuse a compression of the format that they make by default.
    is_format = "output_format" in refused and "output_compression" in optional
    return list(dict.fromkeys([*refused, "output_compression"])) if is_format else refused


def _names_after(detail: str) -> set[str]:
    names: set[str] = set()
    for match in _NAMED_AFTER.finditer(detail):
        without_values = re.sub(r"""[:=]\s*(?:'[^']*'|"[^"]*"|[\w.]+)""", "", match["names"])
        names.update(re.findall(r"[a-z_]\w*", without_values.lower()))
    return names


def _is_named_before(name: str, detail: str) -> bool:
    return bool(re.search(_NAMED_BEFORE % re.escape(name), detail, re.IGNORECASE))


def _refuses_param(error: EngineRejected) -> bool:
    return error.engine_code in _UNKNOWN_CODES or bool(_REFUSES_A_FIELD.search(error.detail))


def _refuses_format(error: EngineRejected, body: dict[str, Any]) -> bool:
    is_named = error.param == "output_format" or re.search(r"\boutput_format\b", error.detail)
    return (
        body.get("output_format") in _CONVERTED_FORMATS
        and bool(is_named)
        and bool(_REFUSES_A_VALUE.search(error.detail))
    )
