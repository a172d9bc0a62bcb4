"""Messages between the gateway and a decoding process."""

import io
import struct

import pytest

from image_gateway.images.decoding.messages import (
    MAX_HEADER_BYTES,
    check_response,
    read_header,
    read_parts,
    write_message,
)


def message(header: bytes, rest: bytes = b"") -> io.BytesIO:
    return io.BytesIO(struct.pack(">I", len(header)) + header + rest)


def test_a_message_is_read_as_it_was_written() -> None:
    """Two messages follow each other in a stream."""
    stream = io.BytesIO()
    write_message(stream, {"operation": "a"}, [b"one", b""])
    write_message(stream, {"operation": "ü"})
    stream.seek(0)

    first = read_header(stream)
    parts = read_parts(stream, first, 10)
    second = read_header(stream)

    assert (first["operation"], parts) == ("a", [b"one", b""])
    assert (second["operation"], read_parts(stream, second, 10)) == ("ü", [])


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\x05{"])
def test_a_stream_that_ends_early_is_an_error(data: bytes) -> None:
    """It ends where its process does."""
    with pytest.raises(EOFError):
        read_header(io.BytesIO(data))


@pytest.mark.parametrize("header", [b"[]", b"{", b"\xff", b" " * (MAX_HEADER_BYTES + 1), b"[" * MAX_HEADER_BYTES])
def test_anything_else_than_a_header_is_an_error(header: bytes) -> None:
    """A process that an image has taken over may send anything."""
    with pytest.raises(ValueError):  # noqa: PT011 - of several modules
        read_header(message(header))


@pytest.mark.parametrize("sizes", ["[11]", "[6, 5]", "[-1]", '["1"]', "null", "{}"])
def test_lengths_that_are_too_long_or_no_lengths_are_an_error(sizes: str) -> None:
    """Nothing is read of the parts, so no memory is taken for them."""
    stream = message(f'{{"sizes": {sizes}}}'.encode(), bytes(20))

    with pytest.raises(ValueError, match=r"lengths|too long"):
        read_parts(stream, read_header(stream), 10)


def test_a_part_that_ends_early_is_an_error() -> None:
    """The process ended while it sent it."""
    stream = message(b'{"sizes": [5]}', b"1234")

    with pytest.raises(EOFError):
        read_parts(stream, read_header(stream), 10)


RESPONSES: list[dict[str, object]] = [
    {"content_type": "image/png", "width": 5, "height": 16_384, "last": False, "sizes": [9]},
    {"flattened": True, "last": True, "sizes": [9]},
    {"needs": 300_000_000, "last": False, "sizes": [0]},
    {"error": "The image is damaged", "last": False, "sizes": [0]},
    {"exceeded": "memory", "last": True, "sizes": [0]},
]


@pytest.mark.parametrize("header", RESPONSES, ids=lambda header: next(iter(header)))
def test_headers_of_responses_are_accepted(header: dict[str, object]) -> None:
    """These are all that there are."""
    check_response(header)


@pytest.mark.parametrize(
    "header",
    [
        {"content_type": "text/html"},
        {"content_type": "image/png\r\nx-header: 1"},
        {"width": "5"},
        {"width": True},
        {"height": 0},
        {"height": 10**9},
        {"flattened": "no"},
        {"error": "a" * 501},
        {"error": {}},
        {"exceeded": "everything"},
        {"exceeded": None},
        {"needs": 1.5},
        {"last": None},
        {"sizes": [1, 2]},
        {"code": "x"},
    ],
    ids=str,
)
def test_anything_else_in_the_header_of_a_response_is_an_error(header: dict[str, object]) -> None:
    """A decoder that an image has taken over can return another image, and nothing else."""
    with pytest.raises(ValueError, match="not one of a response"):
        check_response(header)
