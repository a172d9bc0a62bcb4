"""An engine's own words: found in every shape of error body, in one line, without markup or secrets."""

import html
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from image_gateway.engines.connection import Connection
from image_gateway.engines.response import EngineResponse
from image_gateway.engines.server import EngineServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def words(connect: Callable[..., Connection]) -> Callable[..., str]:
    """What is told of a body; text stands for itself, anything else for its JSON."""

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
def test_words(words: Callable[..., str], body: Any, reported: str) -> None:
    """Whatever the shape, the human part is found."""
    assert words(body) == reported


def test_words_are_bounded(words: Callable[..., str]) -> None:
    """A long explanation is cut."""
    assert words({"error": "x" * 5_000}) == "x" * 600 + " …"


def test_depth_is_bounded(words: Callable[..., str]) -> None:
    """What is nested too deeply is not searched, but shown as it came."""
    body: Any = "deep"
    for _ in range(50):
        body = {"error": body}

    assert words(body).startswith('{"error": {"error"')


@pytest.mark.parametrize(
    "said",
    ["key sk-secret-123 is wrong", "key sk-se****-123 is wrong", "key <b>sk-secret-123</b> is wrong"],
)
def test_secrets_are_hidden(words: Callable[..., str], said: str) -> None:
    """A secret is hidden wherever it is echoed, wholly or partly masked."""
    assert words({"error": said}, "sk-secret-123") == "key *** is wrong"


ODD = "sk-a\"b\\c+d/e='f <i>&"
"""A secret that looks different wherever it is escaped."""


@pytest.mark.parametrize(
    "spelled",
    [
        ODD,
        json.dumps(ODD)[1:-1],
        json.dumps(json.dumps(ODD))[3:-3],
        json.dumps(ODD)[1:-1].replace("/", "\\/"),
        "".join(f"\\u{ord(char):04X}" for char in ODD),
        repr(ODD)[1:-1],
        "".join(f"\\x{ord(char):02x}" for char in ODD),
        quote(ODD),
        quote(ODD, safe="").lower(),
        quote(quote(ODD, safe=""), safe=""),
        quote_plus(ODD),
        html.escape(ODD),
    ],
)
@pytest.mark.parametrize(
    ("shape", "reported"), [("{}", "***"), ('{{"oops": "{}"}}', '{"oops": "***"}'), ("<p>{}</p>", "***")]
)
def test_secrets_are_hidden_however_they_are_escaped(
    words: Callable[..., str], spelled: str, shape: str, reported: str
) -> None:
    """JSON, Python, URLs and HTML write some characters in ways of their own, and a secret is hidden in all of them."""
    assert words(shape.format(spelled).encode(), ODD) == reported


def test_secrets_of_all_alphabets_are_hidden(words: Callable[..., str]) -> None:
    """A password may be any text, which JSON and URLs may spell by its parts."""
    secret = "pä\\\\ß😀"
    for spelled in (json.dumps(secret), json.dumps(secret, ensure_ascii=False), quote(secret)):
        assert words({"error": spelled.strip('"')}, secret) == "***"


def test_no_part_of_a_secret_is_left_where_a_long_text_is_cut(words: Callable[..., str]) -> None:
    """Of a text so long that it is not read to its end, no secret's beginning is shown, wherever it stands."""
    for length in range(32_768 - 40, 32_768):
        text = "<br>".ljust(length, " ") + "sk-" + "y" * 40 + " " * 100_000

        assert "yy" not in words({"error": text}, "sk-" + "y" * 40)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("part", ["a", "\\", "%25", "%", 'b"', "\\u00", " "])
def test_escaped_secrets_are_looked_for_once(words: Callable[..., str], part: str) -> None:
    """However many escapes there are in a text, the time grows with its length alone."""
    for secret in (ODD, "\\\\a\\", "%25" * 20, "\\u00" * 20):
        assert len(words({"error": part * 20_000}, secret)) < 700


def test_a_long_answer_is_cut_before_it_is_cleaned(words: Callable[..., str]) -> None:
    """An answer of many megabytes does not hold up whatever else the function does."""
    body = json.dumps({"error": {"message": "a b" * 20_000_000}}).encode()
    started = time.process_time()

    assert words(body, "sk-secret").startswith("a ba b")
    assert time.process_time() - started < 0.5


def test_secret_with_spaces_is_hidden(words: Callable[..., str]) -> None:
    """A password keeps its own spaces while it is looked for."""
    assert words({"error": "password: a  b"}, "a  b") == "password: ***"


def test_secrets_are_not_in_a_repr(connect: Callable[..., Connection]) -> None:
    """What is logged of a server or a connection has no secret in it."""
    server = EngineServer(
        connect(secrets=("pw",)), "engine", "http://engine.example", headers={"k": "pw"}, auth=("me", "pw")
    )

    assert "pw" not in repr(server)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("part", ["a", "<!--", "<a", "<script", "a*", "**"])
def test_a_long_text_is_read_once(words: Callable[..., str], part: str) -> None:
    """An engine that repeats a long prompt, whatever is in it, does not keep the function busy."""
    assert len(words({"error": {"message": part * 100_000}})) < 700
