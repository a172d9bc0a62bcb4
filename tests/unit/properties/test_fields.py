"""Fields that code of ours reads: any input gives a value or the documented error, and what is written is read."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from image_gateway.models.fields import (
    MAX_JSON_DEPTH,
    MAX_SIDE,
    HttpUrlText,
    Params,
    Size,
    SizeText,
    origin,
    valid_json,
)
from tests.unit.properties.strategies import ANY_JSON, ANY_TEXT, HEADER


class Fields(BaseModel):
    """The types of fields that are parsed by code of ours."""

    size: SizeText = ""
    url: HttpUrlText = ""
    params: Params = None


@given(st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE))
def test_a_size_is_read_as_it_is_written(width: int, height: int) -> None:
    """Every size in the bounds comes back from its text."""
    assert Size.parse(str(Size(width, height))) == Size(width, height)


@given(ANY_TEXT | st.from_regex(r"\s*[0-9²]*[xX][0-9]*\s*", fullmatch=True))
@example("9" * 5_000 + "x1")
def test_any_text_is_a_size_in_bounds_or_refused(text: str) -> None:
    """What is taken as a size is one whose sides an image can have; all else is `invalid_size`."""
    refused = []
    try:
        size = Size.parse(Fields(size=text).size)
    except ValidationError as error:
        size, refused = None, error.errors()
    assert {item["type"] for item in refused} <= {"invalid_size", "string_unicode"}
    assert size is None or (1 <= size.width <= MAX_SIDE and 1 <= size.height <= MAX_SIDE)


@given(ANY_TEXT | st.builds("http{}://{}:{}/{}".format, st.sampled_from(["", "s"]), HEADER, st.integers(), HEADER))
def test_a_url_that_is_taken_has_an_origin(text: str) -> None:
    """What is taken as a base URL says where a key may be sent, holds no credentials and no blanks."""
    try:
        url = Fields(url=text).url
    except ValidationError:
        return
    if url:
        scheme, host, port = origin(url)
        assert scheme in {"http", "https"}
        assert host
        assert 0 < port < 65_536
        assert "@" not in url.partition("://")[2].partition("/")[0]
        assert not re.search(r"\s", url)


@given(st.dictionaries(ANY_TEXT, ANY_JSON, max_size=4))
@example({"x": float("nan")})
@example({"\ud800": 1})
def test_parameters_that_are_taken_can_be_stored_and_answered(value: dict[str, Any]) -> None:
    """A JSON object is refused, or it is the same after its way through UTF-8 and through an answer."""
    try:
        valid_json(value)
    except PydanticCustomError:
        with pytest.raises(ValidationError):
            Fields(params=value)
        with pytest.raises(ValueError, match=r"surrogates|Out of range"):
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        return
    taken = Fields.model_validate({"params": json.dumps(value)})
    assert json.loads(taken.model_dump_json())["params"] == value


@given(st.integers(MAX_JSON_DEPTH - 3, MAX_JSON_DEPTH + 3), st.sampled_from(["[{}]", '{{"x": {}}}']))
def test_parameters_are_so_deep_at_most(depth: int, level: str) -> None:
    """One level more than `MAX_JSON_DEPTH` is refused, whatever the levels are."""
    text = "1"
    for _ in range(depth - 1):
        text = level.format(text)
    body = f'{{"x": {text}}}'
    if depth <= MAX_JSON_DEPTH:
        assert Fields.model_validate({"params": body}).params == json.loads(body)
    else:
        with pytest.raises(ValidationError, match="deeper"):
            Fields.model_validate({"params": body})
