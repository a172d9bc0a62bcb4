"""JSON of responses: how much of it is parsed, and which unusual JSON is accepted."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.connection import Connection
from image_gateway.engines.json_body import MAX_JSON_VALUES
from image_gateway.engines.response import NOT_JSON, EngineResponse
from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineUnavailable

VALUES = MAX_JSON_VALUES + 1
MARKER = "0" * 40


def response(content: bytes, images: dict[str, bytes] | None = None) -> EngineResponse:
    return EngineResponse(200, "OK", httpx.Headers(), bytearray(content), images or {})


def assert_not_parsed(body: EngineResponse) -> None:
    """Check that a body counts as no JSON, and that finding that out takes almost no memory."""
    tracemalloc.start()
    try:
        parsed = body.json()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert parsed is NOT_JSON
    assert peak < 100_000


@pytest.mark.parametrize(
    "content",
    [
        b"[" + b"[]," * VALUES + b"[]]",
        b"[" + b"{}," * VALUES + b"{}]",
        b"[" + b"1," * VALUES + b"1]",
        b"[" * VALUES + b"]" * VALUES,
        b"{" + b'"":"",' * VALUES + b'"":""}',
        b"[" + b"[]," * VALUES,
        b'\xef\xbb\xbf["\\ud800",' + b"[]," * VALUES + b"[]]",
    ],
    ids=["lists", "objects", "numbers", "depth", "members", "not JSON", "JSON of Python's parser"],
)
def test_a_body_with_too_many_values_is_not_parsed(content: bytes) -> None:
    """Parsed, it would take twenty times its own memory and more."""
    assert_not_parsed(response(content))


def test_a_long_body_with_few_values_is_parsed() -> None:
    """Base64 with line breaks stays in the JSON, and must not be lost."""
    text = "QUJD\\n" * 1_000_000

    assert response(f'{{"images": ["{text}"]}}'.encode()).json() == {"images": [text.replace("\\n", "\n")]}


@pytest.mark.parametrize("character", ["😀", "é", "\\ud83d\\ude00"], ids=["UTF-8", "Latin", "escape"])
def test_a_very_long_body_with_text_that_is_not_ascii_is_not_parsed(character: str) -> None:
    """One such character makes each character of its text take up to four bytes."""
    assert_not_parsed(response(b'["' + character.encode() + b"x" * (64 * 2**20) + b'"]'))


def test_a_very_long_body_with_escapes_of_ascii_is_parsed() -> None:
    """Some servers write the plus of base64 as an escape."""
    assert len(response(b'["\\u002b' + b"x" * (64 * 2**20) + b'"]').json()[0]) == 64 * 2**20 + 1


def test_images_take_the_place_of_their_markers_without_a_copy_of_the_rest() -> None:
    """A copy would double the memory of a response with many values."""
    content = b'["' + MARKER.encode() + b'"' + b",[]" * 20_000 + b"]"
    peaks = []
    for images in ({}, {MARKER: b"image"}):
        body = response(content, images)
        tracemalloc.start()
        try:
            parsed = body.json()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()

    assert parsed[0] == b"image"
    assert peaks[1] < 1.1 * peaks[0]


def test_a_long_body_that_only_pythons_parser_accepts_is_not_parsed() -> None:
    """That parser makes several copies."""
    assert response(b'\xef\xbb\xbf["' + b"x" * (33 * 2**20) + b'"]').json() is NOT_JSON


@pytest.mark.parametrize("digits", [10, 30, 5_000])
def test_a_number_of_any_length_is_parsed(digits: int) -> None:
    """Python converts at most 4,300 digits. A longer number must not lose the images beside it."""
    parsed = response(b'{"images": ["a"], "number": ' + b"1" * digits + b"}").json()

    assert parsed["images"] == ["a"]
    assert parsed["number"] == (int("1" * digits) if digits < 400 else float("inf"))


def test_a_body_that_is_too_deep_is_not_json() -> None:
    """This is so for any depth, also where images have been taken out of the body."""
    for depth in (100, 300, 600, 900, 2_000, 20_000, 200_000):
        content = b'{"a": ' + b"[" * depth + b"]" * depth + b', "b": "' + MARKER.encode() + b'"}'

        parsed = response(content, {MARKER: b"image"}).json()

        assert parsed is NOT_JSON or parsed["b"] == b"image"


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "may_have_cost"), [("GET", False), ("POST", True)])
@pytest.mark.parametrize("status", [200, 500])
async def test_a_response_with_too_many_values_is_an_error_of_the_engine(
    serve: Callable[[ASGIApp], str],
    connect: Callable[..., Connection],
    method: str,
    status: int,
    *,
    may_have_cost: bool,
) -> None:
    """It is not read to its end, which this one does not have. The message is short, and says what is wrong."""

    async def lists() -> AsyncIterator[bytes]:
        yield b"["
        while True:
            yield b"[]," * 10_000
            # Lets the server notice that nobody reads any more.
            await asyncio.sleep(0)

    async def respond(_request: Request) -> StreamingResponse:
        return StreamingResponse(lists(), status)

    url = serve(Starlette(routes=[Route("/", respond, methods=[method])]))

    with pytest.raises(EngineUnavailable) as error:
        await EngineServer(connect(), "engine", url).json(method, "/")

    assert len(error.value.detail) < 1_000
    assert error.value.may_have_cost is may_have_cost
    if status == 200:
        assert error.value.detail == "engine answered 200 with JSON of more than 2,000,000 values"


@pytest.mark.anyio
async def test_an_image_instead_of_json_is_read_to_its_end(
    serve: Callable[[ASGIApp], str], connect: Callable[..., Connection]
) -> None:
    """What looks like values of JSON does not count in it."""
    image = b"PNG" + b"," * VALUES + b"end"

    async def respond(_request: Request) -> Response:
        return Response(image, media_type="image/png")

    url = serve(Starlette(routes=[Route("/", respond, methods=["POST"])]))

    assert await EngineServer(connect(), "engine", url).answer("POST", "/") == image
