"""An engine's own words: found in every shape of error body, in one line, without markup or secrets."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from image_gateway.engines.http import Answer, Connection, EngineServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def words(connect: Callable[..., Connection]) -> Callable[..., str]:
    """What is told of a body; text stands for itself, anything else for its JSON."""

    def read(body: Any, *secrets: str) -> str:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        server = EngineServer(connect(secrets=secrets), "engine", "http://engine.example")
        return server.words(Answer(500, "Internal Server Error", httpx.Headers(), content))

    return read


@pytest.mark.parametrize(
    ("body", "told"),
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
def test_words(words: Callable[..., str], body: Any, told: str) -> None:
    """Whatever the shape, the human part is found."""
    assert words(body) == told


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
