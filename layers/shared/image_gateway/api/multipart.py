"""Reads `multipart/form-data` (RFC 7578) that is in memory, which no request to a function is too long for (6 MB).

The standard library reads headers; a package for forms would be imported at every start of every function.
"""

import re
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser

from image_gateway.errors import InvalidRequest

MAX_PARTS = 100
"""Most parts of a form."""

_MAX_HEADERS = 8_192
_STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_MAX_PARAMETERS = 100
"""Most semicolons of a header: the standard library's time grows with their square."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form.

    Attributes:
        name: of the field.
        data: its bytes.
        is_file: whether it came with a file's name or says that it is an image. A file that was not chosen, which
            browsers send without a name and without a byte, is none.
    """

    name: str
    data: bytes = field(repr=False)
    is_file: bool


def is_form(content_type: str) -> bool:
    """Whether a body of that type is a form with files."""
    return _header(content_type).get_content_type() == "multipart/form-data"


def is_json(content_type: str) -> bool:
    """Whether a body of that type is JSON, as far as its sender says: who says nothing is believed to send it."""
    kind, _, subtype = _header(content_type).get_content_type().partition("/")
    return not content_type or (kind == "application" and (subtype == "json" or subtype.endswith("+json")))


def read_form(content_type: str, body: bytes) -> list[Part]:
    """The parts of a form, in their order.

    Args:
        content_type: of the request, with its boundary.
        body: the whole request body.

    Raises:
        InvalidRequest: it is not such a form, it does not end, or it has more than `MAX_PARTS`.
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
        # Nothing but blanks follows a boundary on its line. A part without headers begins with the empty line.
        line, _, rest = chunk.partition(b"\r\n")
        headers, found, data = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if line.strip(b" \t") or not found:
            break
        parts.append(_part(headers, data))
    raise InvalidRequest("The form does not begin or end: it was cut off, or its boundary is wrong")


def _part(headers: bytes, data: bytes) -> Part:
    if len(headers) > _MAX_HEADERS:
        raise InvalidRequest("A part of the form has too long headers")
    # The standard library would begin a new header there, where other readers go on with the one before.
    if _STRAY.search(headers):
        raise InvalidRequest("A line in a part's headers does not end with CR and LF")
    # Browsers and clients write names as UTF-8 as they are.
    message = HeaderParser().parsestr(headers.lstrip(b"\r\n").decode(errors="replace"), headersonly=True)
    name = _parameter(message, "content-disposition", "name")
    if message.get_content_disposition() != "form-data" or name is None:
        raise InvalidRequest("A part of the form has no name")
    filename = _parameters(message, "content-disposition").get("filename")
    is_image = str(message.get("content-type", "")).strip().lower().startswith("image/")
    return Part(name, data, is_file=bool(filename or (data and (filename is not None or is_image))))


def _parameter(message: Message, header: str, name: str) -> str | None:
    found = _parameters(message, header).get(name)
    return found if isinstance(found, str) else None


def _parameters(message: Message, header: str) -> dict[str, object]:
    if str(message.get(header, "")).count(";") > _MAX_PARAMETERS:
        return {}
    try:
        parameters = message.get_params([], header)
    except ValueError:
        # RFC 2231 numbers the parts of a parameter; these have more digits than Python reads.
        return {}
    # The first of a name counts.
    return {name.lower(): value for name, value in reversed(parameters[1:])}


def _header(content_type: str) -> Message:
    message = Message()
    message["content-type"] = content_type
    return message
