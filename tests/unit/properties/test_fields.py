"""Field types with parsers: any input gives a value or the documented error, and written values are read back."""

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
    HttpUrlText,
    Params,
    Size,
    origin,
    valid_json,
)
from image_gateway.models.input_image import MAX_SIDE
from image_gateway.models.sizes import SizeText, wanted_size
from tests.unit.properties.strategies import ANY_JSON, ANY_TEXT, HEADER


class Fields(BaseModel):
    """The field types with parsers."""

    size: SizeText = ""
    url: HttpUrlText = ""
    params: Params = None


@given(st.integers(1, MAX_SIDE), st.integers(1, MAX_SIDE))
def test_a_size_is_read_back(width: int, height: int) -> None:
    """Every size within the bounds is read back from its text."""
    assert Size.parse(str(Size(width, height))) == Size(width, height)


@given(ANY_TEXT | st.from_regex(r"\s*[0-9²]*[xX][0-9]*\s*", fullmatch=True))
@example("9" * 5_000 + "x1")
def test_any_text_is_a_valid_size_or_refused(text: str) -> None:
    """An accepted size has sides within the bounds; any other text is `invalid_size`."""
    errors = []
    try:
        size = wanted_size(Fields(size=text).size, None, "", None).size
    except ValidationError as error:
        size, errors = None, error.errors()
    assert {item["type"] for item in errors} <= {"invalid_size", "string_unicode"}
    assert size is None or (1 <= size.width <= MAX_SIDE and 1 <= size.height <= MAX_SIDE)


@given(ANY_TEXT | st.builds("http{}://{}:{}/{}".format, st.sampled_from(["", "s"]), HEADER, st.integers(), HEADER))
def test_an_accepted_url_has_an_origin(text: str) -> None:
    """An accepted base URL has an origin, and contains neither credentials nor spaces."""
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
def test_accepted_parameters_can_be_stored_and_returned(value: dict[str, Any]) -> None:
    """An object is refused, or it is unchanged after UTF-8 encoding and after serialization in a response."""
    try:
        valid_json(value)
    except PydanticCustomError:
        with pytest.raises(ValidationError):
            Fields(params=value)
        with pytest.raises(ValueError, match=r"surrogates|Out of range"):
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        return
    accepted = Fields.model_validate({"params": json.dumps(value)})
    assert json.loads(accepted.model_dump_json())["params"] == value


@given(st.integers(MAX_JSON_DEPTH - 3, MAX_JSON_DEPTH + 3), st.sampled_from(["[{}]", '{{"x": {}}}']))
def test_deeply_nested_parameters_are_refused(depth: int, level: str) -> None:
    """`MAX_JSON_DEPTH` levels of objects or arrays are accepted, and one more is refused."""
    text = "1"
    for _ in range(depth - 1):
        text = level.format(text)
    body = f'{{"x": {text}}}'
    if depth <= MAX_JSON_DEPTH:
        assert Fields.model_validate({"params": body}).params == json.loads(body)
    else:
        with pytest.raises(ValidationError, match="deeper"):
            Fields.model_validate({"params": body})
