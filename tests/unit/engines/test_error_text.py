"""The error text of an engine: found in every format of an error body, on one line, without markup or secrets."""

import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from image_gateway.engines.connection import Connection
from image_gateway.engines.redaction import redact
from image_gateway.engines.response import EngineResponse
from image_gateway.engines.server import EngineServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def error_text(connect: Callable[..., Connection]) -> Callable[..., str]:
    """Return the error text of a body; bytes are sent as they are, anything else as JSON."""

    def read(body: Any, *secrets: str) -> str:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        server = EngineServer(connect(secrets=secrets), "engine", "http://engine.example")
        return server.error_text(EngineResponse(500, "Internal Server Error", httpx.Headers(), content))

    return read


@pytest.mark.parametrize(
    ("body", "reported"),
    [
        ({"error": {"message": "no prompt", "type": "x", "code": "y"}}, "no prompt"),
        ({"error": "prompt required"}, "prompt required"),
        ({"message": "no prompt"}, "no prompt"),
        ({"detail": "no prompt"}, "no prompt"),
        ({"detail": [{"loc": ["body", "width"], "msg": "too small"}]}, "body.width: too small"),
        ({"detail": [{"loc": 5, "msg": "too small"}]}, "5: too small"),
        ({"error": "OSError", "detail": "", "errors": "cannot open", "body": ""}, "OSError: cannot open"),
        ({"error": "RuntimeError", "message": "RuntimeError"}, "RuntimeError"),
        ({"error": {"message": "Prompt invalid", "details": "node 3"}}, "Prompt invalid: node 3"),
        ([{"message": "one"}, {"message": "two"}, 5], "one; two"),
        ("no prompt", "no prompt"),
        ({"reason": "no credit"}, '{"reason": "no credit"}'),
        ({}, "Internal Server Error"),
        (None, "Internal Server Error"),
        (b"", "Internal Server Error"),
        (b"plain\n text", "plain text"),
        (b"<!-- > --><title>502</title><script>if (a<b) x()</script><p>nginx &amp; co</p>", "502 nginx & co"),
        (b"<style>p { color: red", "Internal Server Error"),
        (b"\xff\xfe\x00", "\ufffd\ufffd"),
        ({"error": "size must be > 8 and < 99, not <b>7</b>"}, "size must be > 8 and < 99, not 7"),
        (b"[" * 100_000, "[" * 600 + " …"),
    ],
)
def test_the_message_is_found_in_every_format(error_text: Callable[..., str], body: Any, reported: str) -> None:
    """Engines report errors in many formats."""
    assert error_text(body) == reported


def test_the_error_text_has_a_maximum_length(error_text: Callable[..., str]) -> None:
    """A long text is cut."""
    assert error_text({"error": "x" * 5_000}) == "x" * 600 + " …"


def test_the_search_has_a_maximum_depth(error_text: Callable[..., str]) -> None:
    """A body that is nested too deeply is shown as it is."""
    body: Any = "deep"
    for _ in range(50):
        body = {"error": body}

    assert error_text(body).startswith('{"error": {"error"')


@pytest.mark.parametrize(
    "text",
    ["key sk-secret-123 is wrong", "key sk-se****-123 is wrong", "key <b>sk-secret-123</b> is wrong"],
)
def test_secrets_are_redacted(error_text: Callable[..., str], text: str) -> None:
    """A secret is redacted wherever it is repeated, in full or partly masked."""
    assert error_text({"error": text}, "sk-secret-123") == "key *** is wrong"


@pytest.mark.parametrize(
    ("secret", "text", "reported"),
    [
        ("pw1", '"pw1" and user:pw1@host', '"***" and user:***@host'),
        ("pw1", "line\\npw1 and %3Dpw1", "line\\*** and %***"),
        ("sk-1", "sk-1 is no key, sk-12 may be", "*** is no key, sk-12 may be"),
        ("p/w", "p\\/w and p%2Fw in p/win", "*** and *** in p/win"),
        ("-pw-", "x-pw- y", "*** y"),
    ],
)
def test_a_short_secret_is_redacted_only_as_a_whole_word(
    error_text: Callable[..., str], secret: str, text: str, reported: str
) -> None:
    """What is part of a longer word is another word."""
    assert error_text({"error": text}, secret) == reported


@pytest.mark.parametrize("secret", ["k", "key", "none", "dummy", "EMPTY", "1", "1234"])
def test_a_short_word_or_number_is_not_redacted(error_text: Callable[..., str], secret: str) -> None:
    """Servers without keys are often given such a one, and it is part of usual messages."""
    text = "unknown key k, none of 1 dummy EMPTY 1234"

    assert error_text({"error": text}, secret) == text


SECRET = "sk-a\"b\\c+d/e='f <i>&"
"""A secret with characters that every format escapes differently."""


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        "".join(f"\\u{ord(char):04X}" for char in SECRET),
        repr(SECRET)[1:-1],
        "".join(f"\\x{ord(char):02x}" for char in SECRET),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote(quote(SECRET, safe=""), safe=""),
        quote_plus(SECRET),
        html.escape(SECRET),
    ],
)
@pytest.mark.parametrize(
    ("shape", "reported"), [("{}", "***"), ('{{"oops": "{}"}}', '{"oops": "***"}'), ("<p>{}</p>", "***")]
)
def test_escaped_secrets_are_redacted(error_text: Callable[..., str], spelled: str, shape: str, reported: str) -> None:
    """JSON, Python, URLs and HTML escape some characters in different ways."""
    assert error_text(shape.format(spelled).encode(), SECRET) == reported


def test_secrets_in_any_script_are_redacted(error_text: Callable[..., str]) -> None:
    """A password may be any text, and JSON and URLs may escape parts of it."""
    secret = "pä\\\\ß😀"
    for spelled in (json.dumps(secret), json.dumps(secret, ensure_ascii=False), quote(secret)):
        assert error_text({"error": spelled.strip('"')}, secret) == "***"


def test_no_part_of_a_secret_remains_where_a_long_text_is_cut(error_text: Callable[..., str]) -> None:
    """A very long text is not read to its end; the beginning of a secret is not shown, wherever it stands."""
    for length in range(32_768 - 40, 32_768):
        text = "<br>".ljust(length, " ") + "sk-" + "y" * 40 + " " * 100_000

        assert "yy" not in error_text({"error": text}, "sk-" + "y" * 40)


@pytest.mark.parametrize("part", ["a", "\\", "%25", "%", 'b"', "\\u00", " "])
def test_the_search_for_escaped_secrets_takes_linear_time(part: str) -> None:
    """The number of escapes does not matter. In quadratic time this text would exceed the tests' time limit."""
    for secret in (SECRET, "\\\\a\\", "%25" * 20, "\\u00" * 20):
        assert redact(part * 500_000, [secret])


def test_a_long_response_is_cut_before_it_is_processed(
    error_text: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response of many megabytes does not delay other work of the function."""
    lengths: list[int] = []

    def record_length(text: str, secrets: tuple[str, ...]) -> str:
        lengths.append(len(text))
        return redact(text, secrets)

    monkeypatch.setattr("image_gateway.engines.error_text.redact", record_length)

    assert error_text({"error": {"message": "a b" * 1_000_000}}, "sk-secret").startswith("a ba b")
    assert lengths
    assert max(lengths) <= 32_768


def test_a_secret_with_spaces_is_redacted(error_text: Callable[..., str]) -> None:
    """A password's spaces are kept while it is searched."""
    assert error_text({"error": "password: a  b"}, "a  b") == "password: ***"


def test_secrets_are_not_in_a_repr(connect: Callable[..., Connection]) -> None:
    """A server or connection can be logged without secrets."""
    server = EngineServer(connect(secrets=("pw",)), "engine", "http://engine.example", headers={"k": "pw"})

    assert "pw" not in repr(server)


@pytest.mark.parametrize("part", ["a", "<!--", "<a", "<script", "a*", "**"])
def test_a_long_text_takes_linear_time(
    error_text: Callable[..., str], monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """An engine that repeats a long prompt does not delay the function.

    The text is longer than what is read. In quadratic time it would exceed the tests' time limit.
    """
    monkeypatch.setattr("image_gateway.engines.error_text._MAX_READ_CHARS", 10_000_000)

    assert len(error_text({"error": {"message": part * 500_000}})) < 700
