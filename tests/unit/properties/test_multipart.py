"""Forms of real clients: the parts equal the ones that were sent, and the ones that `python-multipart` reads."""

import contextlib
from typing import Any

import httpx
import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from image_gateway.api.multipart import MAX_PARTS, Part, read_form
from image_gateway.errors import InvalidRequest

BOUNDARY = "----WebKitFormBoundary7MA4YWxk"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
URL = "http://gateway.test/"

_DELIMITERS = [b"\r\n", b"\r", b"\n", b"--", b"\r\n--", b"\r\n\r\n"]
_ALMOST_BOUNDARIES = [
    f"\r\n--{BOUNDARY[:-1]}".encode(),
    f"--{BOUNDARY[:-1]}--".encode(),
    b'Content-Disposition: form-data; name="n"',
]
DATA = (
    st.lists(st.sampled_from([*_DELIMITERS, *_ALMOST_BOUNDARIES]) | st.binary(max_size=20), max_size=6)
    .map(b"".join)
    .filter(lambda data: BOUNDARY.encode() not in data)
)
"""Any bytes, including some that almost end a part."""
NAMES = st.text(min_size=1, max_size=20) | st.lists(
    st.sampled_from(["image", "[]", '"', "\\", "%22", "%", ";", "=", "'", " ", ":", "\t", "ä", "🦊", "\x0b", "\u2028"]),
    min_size=1,
    max_size=6,
).map("".join)
"""Names of fields and of files, mostly with unusual characters."""
FORMS = st.lists(st.tuples(NAMES, DATA, st.none() | NAMES), min_size=1, max_size=6)
"""Forms: the name, the content and the file name of each part."""


def reference(content_type: str, body: bytes) -> list[Part]:
    """Return the parts as `python-multipart` reads them.

    Raises:
        MultipartParseError: `python-multipart` refuses the form.
    """
    parts: list[tuple[dict[bytes, bytes], bytearray]] = []
    header: list[bytearray] = [bytearray(), bytearray()]
    ended = []

    def append_to(index: int) -> Any:
        return lambda data, start, end: header[index].extend(data[start:end])

    def header_end() -> None:
        if header[0].lower() == b"content-disposition":
            parts[-1][0].update(parse_options_header(bytes(header[1]))[1])
        elif header[0].lower() == b"content-type" and header[1].strip().lower().startswith(b"image/"):
            parts[-1][0].setdefault(b"filename", b"")
        header[0].clear()
        header[1].clear()

    parser = MultipartParser(
        parse_options_header(content_type)[1][b"boundary"],
        {
            "on_part_begin": lambda: parts.append(({}, bytearray())),
            "on_part_data": lambda data, start, end: parts[-1][1].extend(data[start:end]),
            "on_header_field": append_to(0),
            "on_header_value": append_to(1),
            "on_header_end": header_end,
            "on_end": lambda: ended.append(True),
        },
    )
    parser.write(body)
    parser.finalize()
    if not ended or any(b"name" not in options for options, _ in parts):
        raise MultipartParseError("the form has no end, or a part has no name")
    return [
        Part(
            options[b"name"].decode(errors="replace"),
            bytes(data),
            is_file=b"filename" in options and bool(options[b"filename"] or data),
        )
        for options, data in parts
    ]


@given(FORMS)
@example([('a"b%22;\\', b"\r\n", "\\"), ("image[]", b"", ""), ("n", b"2", None)])
def test_forms_of_httpx_are_read(form: list[tuple[str, bytes, str | None]]) -> None:
    """All parts of httpx's forms are read in order and unchanged, whatever their names and file names."""
    files = [(name, (filename, data)) for name, data, filename in form]
    request = httpx.Request("POST", URL, files=files, headers={"content-type": FORM})
    body = request.read()

    parts = read_form(FORM, body)

    assert [part.data for part in parts] == [data for _, data, _ in form]
    assert parts == reference(FORM, body)


@given(FORMS)
@example([("n", b"2", None), ("image", b"", "ä \u2028.png")])
def test_forms_of_requests_are_read(form: list[tuple[str, bytes, str | None]]) -> None:
    """Forms of urllib3's encoder, which escapes fewer characters, are read unchanged; text fields come first.

    The encoder does not escape a backslash, which at the end of a name escapes the closing quote. Such a form is
    ambiguous, so these names are not tested.
    """
    form = [(name.rstrip("\\") or "n", data, filename) for name, data, filename in form]
    texts = [(name, data) for name, data, filename in form if not filename]
    files: list[Any] = [(name, (filename, data)) for name, data, filename in form if filename]
    files.append(("image", ("last.png", b"last")))
    prepared = requests.Request("POST", URL, data=texts, files=files).prepare()
    assert isinstance(prepared.body, bytes)

    content_type = str(prepared.headers["Content-Type"])

    parts = read_form(content_type, prepared.body)

    sent = [data for _, data in texts] + [data for _, (_, data) in files]
    assert [(part.data, part.is_file) for part in parts] == [
        (data, number >= len(texts)) for number, data in enumerate(sent)
    ]
    assert parts == reference(content_type, prepared.body)


@given(FORMS, DATA, DATA)
def test_the_preamble_and_the_epilogue_are_ignored(
    form: list[tuple[str, bytes, str | None]], preamble: bytes, epilogue: bytes
) -> None:
    """Bytes before the first boundary and after the last one are ignored (RFC 2046)."""
    files = [(name, (filename, data)) for name, data, filename in form]
    body = httpx.Request("POST", URL, files=files, headers={"content-type": FORM}).read()

    assert read_form(FORM, preamble + b"\r\n" + body + epilogue) == read_form(FORM, body)


_FRAGMENTS = [
    f"--{BOUNDARY}".encode(),
    f"\r\n--{BOUNDARY}\r\n".encode(),
    f"\r\n--{BOUNDARY}--".encode(),
    b'Content-Disposition: form-data; name="n"',
    b'content-disposition:form-data;name=n; filename="f.png"',
    b"Content-Type: image/png",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"--",
    b"data",
]


@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=14).map(b"".join))
@example(f'--{BOUNDARY}\nContent-Disposition: form-data; name="n"\n\n2\n--{BOUNDARY}--\n'.encode())
@example(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="n"\n\r\n\r\n2\r\n--{BOUNDARY}--'.encode())
def test_a_malformed_form_is_refused_or_read_like_the_reference(body: bytes) -> None:
    """If both parsers read a form with wrong line ends or incomplete parts, they read the same parts."""
    with contextlib.suppress(InvalidRequest, MultipartParseError):
        assert read_form(FORM, body) == reference(FORM, body)


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_a_form_with_other_line_ends_is_refused(end: str) -> None:
    """A form whose lines do not end with CRLF is refused, and not read as a form without parts."""
    lines = (f"--{BOUNDARY}", 'Content-Disposition: form-data; name="n"', "", "2", f"--{BOUNDARY}--", "")

    with pytest.raises(InvalidRequest, match="truncated, or its boundary is wrong"):
        read_form(FORM, end.join(lines).encode())


def test_a_part_with_an_extended_file_name_is_a_file() -> None:
    """Some older clients send non-ASCII file names as `filename*` (RFC 5987), which also makes the part a file."""
    body = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=image; filename*=utf-8''%C3%A4.png\r\n\r\nx\r\n"

    assert read_form(FORM, f"{body}--{BOUNDARY}--".encode()) == [Part("image", b"x", is_file=True)]


def test_a_form_with_too_many_parts_is_refused() -> None:
    """A form with 100 parts is read, and one with more is refused."""
    files = [("n", (None, b"2"))] * (MAX_PARTS + 1)

    def encoded(count: int) -> bytes:
        return httpx.Request("POST", URL, files=files[:count], headers={"content-type": FORM}).read()

    assert len(read_form(FORM, encoded(MAX_PARTS))) == MAX_PARTS
    with pytest.raises(InvalidRequest, match="more than 100"):
        read_form(FORM, encoded(MAX_PARTS + 1))
