"""Messages between the gateway and a decoding process: a header in JSON, and the bytes of images.

A message is the header's length (four bytes, big-endian), the header, and the parts. The header's `sizes` are the
lengths of the parts in bytes. Nothing is unpickled: a decoder that an image has taken over can only return data.
"""

import json
import struct
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from image_gateway.models.input_image import MAX_SIDE

MAX_ERROR_CHARS = 500
MAX_HEADER_BYTES = 65_536
_LENGTH = struct.Struct(">I")

Header = dict[str, Any]


def write_message(stream: BinaryIO, header: Header, parts: Sequence[bytes] = ()) -> None:
    """Write a message and flush the stream.

    Raises:
        BrokenPipeError: the reader has ended.
    """
    encoded = json.dumps({**header, "sizes": [len(part) for part in parts]}).encode()
    stream.write(_LENGTH.pack(len(encoded)) + encoded)
    stream.writelines(parts)
    stream.flush()


def read_header(stream: BinaryIO) -> Header:
    """Read the header of the next message.

    Raises:
        EOFError: the stream ends before the header does.
        ValueError: it is not a header.
    """
    (size,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    if size > MAX_HEADER_BYTES:
        raise ValueError("the header is too long")
    try:
        header = json.loads(_read(stream, size))
    except RecursionError:
        raise ValueError("the header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return header


_IS_VALID: dict[str, Callable[[Any], bool]] = {
    "content_type": lambda value: value in ("image/png", "image/jpeg"),
    "width": lambda value: type(value) is int and 0 < value <= MAX_SIDE,
    "height": lambda value: type(value) is int and 0 < value <= MAX_SIDE,
    "flattened": lambda value: isinstance(value, bool),
    "needs": lambda value: type(value) is int,
    "error": lambda value: isinstance(value, str) and len(value) <= MAX_ERROR_CHARS,
    "exceeded": lambda value: value in ("memory", "pixels", "bytes"),
    "last": lambda value: isinstance(value, bool),
    "sizes": lambda value: isinstance(value, list) and len(value) == 1,
}


def check_response(header: Header) -> None:
    """Check the header of a response, which a decoder may have written that an image has taken over.

    Raises:
        ValueError: it has something that no decoding process says.
    """
    for name, value in header.items():
        if name not in _IS_VALID or not _IS_VALID[name](value):
            raise ValueError("the header is not one of a response")


def read_parts(stream: BinaryIO, header: Header, max_bytes: int) -> list[bytes]:
    """Read the parts of the message whose header was read.

    Args:
        stream: the stream of the header.
        header: the header.
        max_bytes: the most bytes that are accepted of all parts together.

    Raises:
        EOFError: the stream ends before the last part does.
        ValueError: the parts are longer, or their lengths are no lengths.
    """
    sizes = header.get("sizes")
    if not isinstance(sizes, list) or not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ValueError("the header has no lengths")
    if sum(sizes) > max_bytes:
        raise ValueError("the parts are too long")
    return [_read(stream, size) for size in sizes]


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the stream has ended")
    return data
