"""Parsing of forms with files, as clients send them."""

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_gateway.api.multipart import MAX_PARTS, Part, is_form, read_form
from image_gateway.errors import InvalidRequest

FORM = "multipart/form-data; boundary=xyz"


def encode_form(**request: object) -> tuple[str, bytes]:
    """Return the content type and the body that httpx sends for a form."""
    built = httpx.Request("POST", "http://gateway.example", **request)  # type: ignore[arg-type]  # passed through
    return built.headers["content-type"], built.read()


def test_texts_and_files_are_returned_in_order() -> None:
    """Fields have their bytes. Fields with a file name are files."""
    files = [("image[]", ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")), ("image[]", ("b.png", b"", "image/png"))]

    parts = read_form(*encode_form(data={"prompt": "a hät"}, files=files))

    assert parts == [
        Part("prompt", "a hät".encode(), is_file=False),
        Part("image[]", b"\x89PNG\r\n\x1a\n", is_file=True),
        Part("image[]", b"", is_file=True),
    ]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_the_bytes_of_files_are_unchanged(contents: list[bytes]) -> None:
    """Line ends, hyphens and zeros in a file are not taken for parts of the form."""
    files = [("image", ("x", content, "image/png")) for content in contents]

    assert [part.data for part in read_form(*encode_form(files=files))] == contents


def test_a_quoted_boundary_followed_by_blanks_is_accepted() -> None:
    """RFC 2046 allows both, and a preamble."""
    body = b'ignored\r\n--x y \t\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n--x y--\r\nignored'

    assert read_form('multipart/form-data; boundary="x y"', body) == [Part("n", b"2", is_file=False)]


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ("form-data; name=n", Part("n", b"2", is_file=False)),
        ("form-data; name=\"n\"; filename*=UTF-8''%C3%A4.png", Part("n", b"2", is_file=True)),
        ('form-data; name="n"; filename=""', Part("n", b"2", is_file=True)),
        ('form-data; name="n"\r\nContent-Type: image/png', Part("n", b"2", is_file=True)),
        ('form-data; name="n"\r\ncontent-type:  Image/X', Part("n", b"2", is_file=True)),
        ('form-data; name="n"\r\nContent-Type: text/plain', Part("n", b"2", is_file=False)),
    ],
)
def test_names_and_file_names_of_parts(disposition: str, expected: Part) -> None:
    """Names may be quoted. A file name may be encoded or empty, and may be missing if the type is an image's."""
    body = f"--xyz\r\nContent-Disposition: {disposition}\r\n\r\n2\r\n--xyz--\r\n".encode()

    assert read_form(FORM, body) == [expected]


@pytest.mark.parametrize(
    ("headers", "is_file"),
    [
        ('form-data; name="n"; filename=""\r\nContent-Type: image/png', False),
        ('form-data; name="n"\r\nContent-Type: image/png', False),
        ('form-data; name="n"; filename="a.png"', True),
    ],
)
def test_an_empty_file_field_is_not_a_file(headers: str, is_file: bool) -> None:
    """Browsers send such a field without a file name and without content. An empty file with a name is a file."""
    body = f"--xyz\r\nContent-Disposition: {headers}\r\n\r\n\r\n--xyz--\r\n".encode()

    assert read_form(FORM, body) == [Part("n", b"", is_file=is_file)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xyz--",
        b"--xyz",
        b"--abc\r\n\r\n--abc--",
        b'--xyz\r\nContent-Disposition: form-data; name="n"\r\n\r\n2',
        b'--xyz\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n--xyz',
        b'--xyzzy\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n--xyz--',
        b"--xyz\r\n\r\n2\r\n--xyz--",
        b"--xyz\r\nContent-Disposition: attachment; name=n\r\n\r\n2\r\n--xyz--",
        b"--xyz\r\nContent-Disposition: form-data; name=n; a=" + b"a" * 10_000 + b"\r\n\r\n2\r\n--xyz--",
    ],
)
def test_truncated_and_malformed_forms_are_refused(body: bytes) -> None:
    """A form that is truncated, or whose parts cannot be recognized, is refused. An empty form has no parts."""
    if body == b"--xyz--":
        assert read_form(FORM, body) == []
    else:
        with pytest.raises(InvalidRequest, match="form"):
            read_form(FORM, body)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=ä"]
)
def test_a_form_without_a_boundary_is_refused(content_type: str) -> None:
    """The error names what is missing, for callers who set the header themselves."""
    with pytest.raises(InvalidRequest, match="boundary"):
        read_form(content_type, b"")


def test_the_number_of_parts_is_limited() -> None:
    """A hundred parts are accepted, and one more is refused."""
    part = b'--xyz\r\nContent-Disposition: form-data; name="n"\r\n\r\n2\r\n'

    assert len(read_form(FORM, part * MAX_PARTS + b"--xyz--")) == MAX_PARTS
    with pytest.raises(InvalidRequest, match="more than 100"):
        read_form(FORM, part * (MAX_PARTS + 1) + b"--xyz--")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=x", True),
        ("Multipart/Form-Data;boundary=x", True),
        ("application/json", False),
        ("", False),
        ("multipart/mixed; boundary=x", False),
    ],
)
def test_the_content_type_decides_whether_a_body_is_a_form(content_type: str, expected: bool) -> None:
    """The case of the content type does not matter."""
    assert is_form(content_type) is expected


@pytest.mark.parametrize("filling", [";", '";', '"; a', "; n*1*=a"])
def test_parsing_time_is_linear_in_the_length_of_a_header(monkeypatch: pytest.MonkeyPatch, filling: str) -> None:
    """In the standard library's quadratic time this header, longer than allowed, would exceed the tests' time limit."""
    monkeypatch.setattr("image_gateway.api.multipart._MAX_HEADER_BYTES", 10_000_000)
    header = f'Content-Disposition: form-data; name="n"; x="{filling * 1_000_000}'.encode()

    with pytest.raises(InvalidRequest, match="no name"):
        read_form(FORM, b"--xyz\r\n" + header + b"\r\n\r\n2\r\n--xyz--")
