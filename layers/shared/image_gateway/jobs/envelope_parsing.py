"""Reads requests that come as text: one in a message or a file, or one a line."""

import json
from typing import Any

from pydantic import ValidationError

from image_gateway.errors import InvalidRequest
from image_gateway.models.envelopes import ENVELOPE, EditEnvelope, GenerationEnvelope
from image_gateway.models.jobs import Kind

_MAX_TEXT = 300


class UnreadableRequest(Exception):
    """A message or file that nothing can be made of. Its text says why, and repeats none of it."""


def parse_envelope(body: Any) -> GenerationEnvelope | EditEnvelope | InvalidRequest:
    """The request that `body` is, or what is wrong with it; no value of it is repeated."""
    try:
        return ENVELOPE.validate_python(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        # The first part of the place is the kind, which the union was told apart by.
        place = ".".join(str(part) for part in problems[0]["loc"][1:])
        words = f"{place}: {problems[0]['msg']}" if place else problems[0]["msg"]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return InvalidRequest(words[:_MAX_TEXT] + more, field=place[:_MAX_TEXT] or None)


def parse_line(data: bytes) -> tuple[Kind, GenerationEnvelope | EditEnvelope | InvalidRequest]:
    """The kind of the request that a line, or a whole file, holds, and the request or what is wrong with it.

    Raises:
        UnreadableRequest: it is not JSON in UTF-8, or no request of a known kind.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableRequest("Not UTF-8") from None
    body = parse_json(text)
    if not isinstance(body, dict):
        raise UnreadableRequest("Not a JSON object")
    return parse_kind(body.get("kind")), parse_envelope(body)


def parse_kind(value: Any) -> Kind:
    """The kind of a request.

    Raises:
        UnreadableRequest: it is none.
    """
    if value not in ("generation", "edit"):
        raise UnreadableRequest("It has no kind: generation or edit")
    kind: Kind = value
    return kind


def parse_json(text: str) -> Any:
    """What a text holds as JSON.

    Raises:
        UnreadableRequest: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableRequest("Not JSON") from None
