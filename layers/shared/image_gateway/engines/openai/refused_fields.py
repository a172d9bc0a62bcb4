"""Recognizes which fields of a request an OpenAI-compatible server does not support.

Every server says it in its own words, so the name of a field counts, and its place beside words of refusal. A value
that is refused, such as a size, is the caller's error: the image would not be the requested one.
"""

import re
from typing import Any

from image_gateway.engines.openai.refused_values import named_sizes
from image_gateway.errors import EngineRejected

OUTPUT_FIELDS = ("output_format", "output_compression")
"""Fields that the gateway applies itself if the server does not support them."""

_CONVERTED_FORMATS = ("png", "jpeg", "webp")
_REQUIRED = ("prompt", "model", "image", "mask")
_UNKNOWN_CODES = ("unknown_parameter", "unsupported_parameter", "unknown_field", "extra_forbidden")

_NOUN = r"(?:param(?:eter)?|arg(?:ument)?|field|option|setting|property|propertie|key|input)(?:\(s\)|s)?"
_UNKNOWN = r"(?:unknown|unrecogni[sz]ed|unexpected|unsupported|unpermitted|disallowed|extraneous|undefined)"
_ACCEPTED = r"(?:supported|allowed|permitted|accepted|recogni[sz]ed|available)"
# What somebody is not allowed to do is about rights, not about fields.
_NOT_SUPPORTED = rf"(?:(?:not|(?:is|are|was|were)n't)\s+(?:(?:currently|yet)\s+)?{_ACCEPTED}(?!\s+to\b))"
_CANNOT_BE = r"(?:(?:can|may|must)(?:\s*not|'t)\s+be\s+(?:used|set|specified|provided|sent)(?!\s+to\b))"
_DOES_NOT_SUPPORT = r"(?:(?:does\s+not|doesn't|do\s+not|don't|cannot|can't)\s+(?:support|accept|allow|take))"
_NAME = r"""['"`]?[a-z_]\w*['"`]?"""
_ITEM = rf"""{_NAME}(?:\s*[:=]\s*(?:'[^']*'|"[^"]*"|[\w.]+))?"""
_ITEMS = rf"{_ITEM}(?:(?:\s*,\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+){_ITEM})*"
_ENDS = r"(?=\s*(?:$|[.,;:)(]|(?:and|or|for|with|in|by|on|yet)\b))"

_NAMED_AFTER = (
    re.compile(
        # Such as: Argument not supported: size. Or: … does not support parameters of these names, as a list or object.
        rf"(?:{_UNKNOWN}|extra|additional|no\s+such|invalid|{_NOT_SUPPORTED}|{_DOES_NOT_SUPPORT})"
        rf"[\s_]+(?:(?:the|request|keyword|body|extra|additional)\s+)*{_NOUN}"
        rf"(?:\s+(?:supplied|provided|in\s+object))*[\s:]+[\[{{(\s]*(?P<names>{_ITEMS})",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?:{_UNKNOWN}|{_NOT_SUPPORTED}|{_DOES_NOT_SUPPORT})(?:\s*:\s*|\s+(?:the\s+)?(?=['\"`]))"
        rf"[\[{{(\s]*(?P<names>{_ITEMS})",
        re.IGNORECASE,
    ),
    # Such as: This model does not support the style parameter. Or: … does not support quality and style.
    re.compile(rf"{_DOES_NOT_SUPPORT}\s+(?:(?:the|a|an)\s+)?(?P<names>{_NAME})\s+{_NOUN}\b", re.IGNORECASE),
    re.compile(rf"{_DOES_NOT_SUPPORT}\s+(?P<names>{_ITEMS}){_ENDS}", re.IGNORECASE),
)
_NAMED_BEFORE = (
    # Such as: quality is not a valid parameter. Or: Setting 'style' is not supported.
    rf"""(?:(?:^|[.:;,([{{]\s*|\b{_NOUN}\s+)(?:body\.)?['"`]?|['"`])%s(?:['"`]|\b)(?:\s+{_NOUN})?"""
    rf"""(?:\s*:\s*[\[{{('"\s]*(?:extra\s+)?(?:{_NOUN}\s+)?|\s+)(?:(?:is|was|are|were|should)\s+)?"""
    rf"""(?:{_NOT_SUPPORTED}|not\s+exist|{_CANNOT_BE}|{_UNKNOWN}"""
    rf"""|not\s+an?\s+(?:valid|known|{_ACCEPTED})\s+{_NOUN}|an?\s+{_UNKNOWN}\s+{_NOUN})"""
)
_REFUSES_A_FIELD = re.compile(
    rf"unknown|unrecogni[sz]ed|unexpected|not permitted|unsupported {_NOUN}|{_NOUN}\b.{{0,40}}?{_NOT_SUPPORTED}",
    re.IGNORECASE,
)
_REFUSES_A_VALUE = re.compile(r"invalid|must|not |unsupported|supported|expected|one of|should|only", re.IGNORECASE)
_OUTPUT_FORMAT = re.compile(
    r"\boutput_format\b|\b(?:unsupported|invalid|unknown)\s+output[ -]format\b"
    r"|\boutput[ -]format\s+(?:\S+\s+)?(?:is|must|should)\b",
    re.IGNORECASE,
)


def refused_fields(error: EngineRejected, body: dict[str, Any]) -> list[str]:
    """Return the optional fields of `body` that the server does not support, by its refusal.

    These are never the prompt, the model and images, nor the number of images if it is not one. `output_format` is
    among them also if only its value is refused, as far as the gateway can convert to it. A size is not if the refusal
    names sizes that are supported.
    """
    required = _REQUIRED if body.get("n") == 1 else (*_REQUIRED, "n")
    optional = [name for name in body if name not in required]
    detail = error.detail.replace("\u2019", "'")
    names = _names_after(detail)
    refused = [name for name in optional if name in names or _is_named_before(name, detail)]
    if not refused and error.param in optional and _refuses_param(error):
        refused = [error.param]
    if "size" in refused and named_sizes(detail, body["size"]):
        refused.remove("size")
    if not refused and _refuses_format(error, body):
        refused = ["output_format"]
    # Servers refuse a compression of the format that they make by default.
    is_format = "output_format" in refused and "output_compression" in optional
    return list(dict.fromkeys([*refused, "output_compression"])) if is_format else refused


def _names_after(detail: str) -> set[str]:
    names: set[str] = set()
    for pattern in _NAMED_AFTER:
        for match in pattern.finditer(detail):
            without_values = re.sub(r"""[:=]\s*(?:'[^']*'|"[^"]*"|[\w.]+)""", "", match["names"])
            names.update(re.findall(r"[a-z_]\w*", without_values.lower()))
    return names


def _is_named_before(name: str, detail: str) -> bool:
    return bool(re.search(_NAMED_BEFORE % re.escape(name), detail, re.IGNORECASE))


def _refuses_param(error: EngineRejected) -> bool:
    return error.engine_code in _UNKNOWN_CODES or bool(_REFUSES_A_FIELD.search(error.detail))


def _refuses_format(error: EngineRejected, body: dict[str, Any]) -> bool:
    is_named = error.param == "output_format" or _OUTPUT_FORMAT.search(error.detail)
    return (
        body.get("output_format") in _CONVERTED_FORMATS
        and bool(is_named)
        and bool(_REFUSES_A_VALUE.search(error.detail))
    )
