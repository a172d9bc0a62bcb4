"""Recognition of secrets among parameters. Parameters are stored and shown as they are, so no secret may be in them."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from image_gateway.models.fields import Params

_SECRET_NAMES = re.compile(
    r"(?:^|_)(?:api_?keys?|(?:access|auth|bearer|id|refresh|secret|session)_?tokens?|(?:secret|access|private)_?keys?"
    r"|authorization|bearer|cookies?|credentials?|passwords?|passwd|passphrase|secrets?)(?:_|$)"
    r"|^(?:key|token|auth)$"
)
_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_SECRET_VALUES = re.compile(r"(?:Bearer|Basic) \S{8,}|(?:sk|pk|xai|r8|hf|key|comfyui)[-_][\w-]{20,}|AIza[\w-]{30,}")
"""Values that begin as keys of well-known providers do."""


def looks_like_secret(name: str, value: Any) -> bool:
    """Return whether a parameter is likely to be a secret, by its name or its value."""
    if isinstance(value, str) and _SECRET_VALUES.match(value):
        return True
    # What counts tokens or steps is no secret, so `max_tokens` and `token_merging_ratio` are none.
    return bool(_SECRET_NAMES.search(_WORD_BREAK.sub("_", name).lower())) and not isinstance(value, int | float)


def _no_secrets(params: dict[str, Any] | None) -> dict[str, Any] | None:
    for name, value in _members(params):
        if looks_like_secret(name, value):
            message = "must not hold secrets, and {name} looks like one: parameters are shown, use `key`"
            raise PydanticCustomError("secret", message, {"name": repr(name[:64])})
    return params


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of all objects in a JSON value, and the items of lists with an empty name."""
    pending = [value]
    while pending:
        item = pending.pop()
        members = list(item.items()) if isinstance(item, dict) else [("", child) for child in item]
        yield from members
        pending += [child for _, child in members if isinstance(child, dict | list)]


PublicParams = Annotated[Params, AfterValidator(lambda params: _no_secrets(params) if params else params)]
"""A JSON object whose values may be shown."""
