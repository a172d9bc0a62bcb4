"""Requests that come as text: what their errors say."""

import json

import pytest

from image_gateway.errors import InvalidRequest
from image_gateway.jobs.envelope_parsing import UnreadableRequest, parse_line

REQUEST = {"kind": "generation", "request": {"prompt": "a fox"}}


def test_errors_do_not_repeat_values() -> None:
    """An error names the field and leaves out its value."""
    _kind, error = parse_line(
        json.dumps({"kind": "edit", "request": {"prompt": "", "image": 7, "n": "secret text"}}).encode()
    )

    assert isinstance(error, InvalidRequest)
    assert "(and 2 more)" in error.detail
    assert "secret text" not in error.detail


def test_an_error_in_the_envelope_names_its_field() -> None:
    """An id that is too long is reported with the field `id`."""
    _kind, error = parse_line(json.dumps({**REQUEST, "id": "x" * 256}).encode())

    assert isinstance(error, InvalidRequest)
    assert error.field == "id"


def test_a_deeply_nested_document_is_unreadable() -> None:
    """A line cannot exhaust the parser's stack."""
    with pytest.raises(UnreadableRequest, match="Not JSON"):
        parse_line(b"[" * 200_000)
