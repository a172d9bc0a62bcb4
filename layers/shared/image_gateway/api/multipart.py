"""Parses `multipart/form-data` (RFC 7578) in memory: a request to a function is limited to 6 MB.

The standard library parses the headers. A package for forms would be imported at every cold start of every function.
"""

import re
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser

from image_gateway.errors import InvalidRequest

MAX_PARTS = 100
"""Maximum number of parts of a form."""

_MAX_HEADER_BYTES = 8_192
_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_MAX_PARAMETERS = 100
"""Maximum number of semicolons in a header: the standard library takes time that is quadratic in it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form.

    Attributes:
        name: name of the field.
        data: the content.
        is_file: whether the part has a file name or an image's content type. An empty file field, which browsers send
            without a file name and without content, is not a file.
    """

    name: str
    data: bytes = field(repr=False)
    is_file: bool


def is_form(content_type: str) -> bool:
    """Whether a content type is `multipart/form-data`."""
    return _header(content_type).get_content_type() == "multipart/form-data"


def is_json(content_type: str) -> bool:
    """Whether a content type is JSON. A missing content type counts as JSON."""
    kind, _, subtype = _header(content_type).get_content_type().partition("/")
    return not content_type or (kind == "application" and (subtype == "json" or subtype.endswith("+json")))


def read_form(content_type: str, body: bytes) -> list[Part]:
    """Return the parts of a form, in order.

    Args:
        content_type: the request's content type, with the boundary.
        body: the whole request body.

    Raises:
        InvalidRequest: the body is not such a form, is truncated, or has more than `MAX_PARTS` parts.
    """
    boundary = _parameter(_header(content_type), "content-type", "boundary")
    if boundary is None or not 1 <= len(boundary) <= 200 or not boundary.isascii():
        raise InvalidRequest("The form's Content-Type has no boundary: let the HTTP client set it")
    chunks = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MAX_PARTS + 2)
    parts: list[Part] = []
    for chunk in chunks[1:]:
        if chunk.startswith(b"--"):
            return parts
        if len(parts) == MAX_PARTS:
            raise InvalidRequest(f"The form has more than {MAX_PARTS} parts")
        # Only blanks may follow a boundary on its line. A part without headers begins with an empty line.
        line, _, rest = chunk.partition(b"\r\n")
        headers, separator, data = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if line.strip(b" \t") or not separator:
            break
        parts.append(_part(headers, data))
    raise InvalidRequest("The form has no beginning or no end: it is truncated, or its boundary is wrong")


def _part(headers: bytes, data: bytes) -> Part:
    if len(headers) > _MAX_HEADER_BYTES:
        raise InvalidRequest("The headers of a part of the form are too long")
    # The standard library would start a new header here, whereas other parsers continue the one before.
    if _BARE_LINE_END.search(headers):
        raise InvalidRequest("A line in a part's headers does not end with CR and LF")
    # Browsers and other clients write names in UTF-8, without encoding them further.
    message = HeaderParser().parsestr(headers.lstrip(b"\r\n").decode(errors="replace"), headersonly=True)
    name = _parameter(message, "content-disposition", "name")
    if message.get_content_disposition() != "form-data" or name is None:
        raise InvalidRequest("A part of the form has no name")
    filename = _parameters(message, "content-disposition").get("filename")
    is_image = str(message.get("content-type", "")).strip().lower().startswith("image/")
    return Part(name, data, is_file=bool(filename or (data and (filename is not None or is_image))))


def _parameter(message: Message, header: str, name: str) -> str | None:
    value = _parameters(message, header).get(name)
    return value if isinstance(value, str) else None


def _parameters(message: Message, header: str) -> dict[str, object]:
    if str(message.get(header, "")).count(";") > _MAX_PARAMETERS:
        return {}
    try:
        parameters = message.get_params([], header)
    except ValueError:
        # RFC 2231 numbers the parts of a parameter. This number has more digits than Python parses.
        return {}
    # If a name occurs more than once, the first one counts.
    return {name.lower(): value for name, value in reversed(parameters[1:])}


def _header(content_type: str) -> Message:
    message = Message()
    message["content-type"] = content_type
    return message
