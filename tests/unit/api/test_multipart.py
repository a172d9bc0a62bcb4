"""Forms with files, as clients write them."""

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_gateway.api.multipart import MAX_PARTS, Part, is_form, read_form
from image_gateway.errors import InvalidRequest

FORM = "multipart/form-data; boundary=xyz"


def sent(**request: object) -> tuple[str, bytes]:
    """What httpx makes of a form: the content type and the body."""
    built = httpx.Request("POST", "http://gateway.example", **request)  # type: ignore[arg-type]  # passed on
    return built.headers["content-type"], built.read()


def test_texts_and_files_in_their_order() -> None:
    """Fields come with their bytes; those with a file's name are files."""
    files = [("image[]", ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")), ("image[]", ("b.png", b"", "image/png"))]

    parts = read_form(*sent(data={"prompt": "a hät"}, files=files))

    assert parts == [
        Part("prompt", "a hät".encode(), is_file=False),
        Part("image[]", b"\x89PNG\r\n\x1a\n", is_file=True),
        Part("image[]", b"", is_file=True),
    ]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_any_bytes_arrive_as_they_were_sent(contents: list[bytes]) -> None:
    """Line ends, hyphens and zeros in a file are no part of the form."""
    files = [("image", ("x", content, "image/png")) for content in contents]

    assert [part.data for part in read_form(*sent(files=files))] == contents


def test_a_boundary_in_quotes_and_blanks_after_it() -> None:
    """Both are allowed by RFC 2046, as is a preamble."""
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
def test_how_parts_are_named(disposition: str, expected: Part) -> None:
    """Names may be quoted, a file's name may be encoded or empty, or left out where the type is an image's."""
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
def test_a_file_that_was_not_chosen_is_none(headers: str, is_file: bool) -> None:
    """Browsers send one without a name and without a byte; an empty one that has a name was chosen."""
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
def test_what_is_no_form(body: bytes) -> None:
    """A form that was cut off, or whose parts cannot be told, is refused; an empty one is just empty."""
    if body == b"--xyz--":
        assert read_form(FORM, body) == []
    else:
        with pytest.raises(InvalidRequest, match="form"):
            read_form(FORM, body)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=ä"]
)
def test_a_form_without_a_boundary(content_type: str) -> None:
    """Whoever sets the header by hand is told what is missing."""
    with pytest.raises(InvalidRequest, match="boundary"):
        read_form(content_type, b"")


def test_parts_are_counted() -> None:
    """A hundred parts are read, one more is refused."""
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
def test_what_says_it_is_a_form(content_type: str, expected: bool) -> None:
    """The content type decides, in any case."""
    assert is_form(content_type) is expected


@pytest.mark.timeout(5)
@pytest.mark.parametrize("filling", [";", '";', '"; a', "; n*1*=a"])
def test_hostile_headers_are_refused_quickly(filling: str) -> None:
    """A hundred parts whose headers the standard library would take half a minute for cost nothing to speak of."""
    header = f'Content-Disposition: form-data; name="n"; x="{filling * (8_000 // len(filling))}'.encode()

    with pytest.raises(InvalidRequest, match="no name"):
        read_form(FORM, b"".join(b"--xyz\r\n" + header + b"\r\n\r\n2\r\n" for _ in range(100)) + b"--xyz--")
