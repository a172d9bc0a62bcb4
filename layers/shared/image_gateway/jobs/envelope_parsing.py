"""Parsing of requests that arrive as text: one in a message or a file, or one per line of a file."""

import json
from typing import Any

from pydantic import ValidationError

from image_gateway.errors import InvalidRequest
from image_gateway.models.envelopes import ENVELOPE, EditEnvelope, GenerationEnvelope
from image_gateway.models.jobs import Kind

_MAX_TEXT = 300


class UnreadableRequest(Exception):
    """A message or file that is no request. Its text says why, and quotes nothing of the content."""


def parse_envelope(body: Any) -> GenerationEnvelope | EditEnvelope | InvalidRequest:
    """Parse a request. Return the error where it does not validate; the error quotes no value of the request."""
    try:
        return ENVELOPE.validate_python(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        # The first element of `loc` is the kind, the discriminator of the union.
        field = ".".join(str(part) for part in problems[0]["loc"][1:])
        message = f"{field}: {problems[0]['msg']}" if field else problems[0]["msg"]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return InvalidRequest(message[:_MAX_TEXT] + more, field=field[:_MAX_TEXT] or None)


def parse_line(data: bytes) -> tuple[Kind, GenerationEnvelope | EditEnvelope | InvalidRequest]:
    """Parse a line of a request file, or a whole file with one request.

    Returns:
        The kind of the request, and the request, or the error where it does not validate.

    Raises:
        UnreadableRequest: the data is not a JSON object in UTF-8, or it has no known kind.
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
    """Return the value, if it is the kind of a request.

    Raises:
        UnreadableRequest: it is not.
    """
    if value not in ("generation", "edit"):
        raise UnreadableRequest("It has no kind: generation or edit")
    kind: Kind = value
    return kind


def parse_json(text: str) -> Any:
    """Parse a text as JSON.

    Raises:
        UnreadableRequest: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableRequest("Not JSON") from None
