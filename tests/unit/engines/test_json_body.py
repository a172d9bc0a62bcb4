"""An engine's JSON, decoded while it arrives."""

import asyncio
import base64
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines import create_engine
from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.connection import Connection
from image_gateway.engines.json_body import JsonBody
from image_gateway.engines.protocol import ImageRequest
from image_gateway.engines.response import EngineResponse
from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineUnavailable
from image_gateway.models.config import ImagesConfig

# Longer as base64 than what is decoded at once, and no longer than that needs: bodies also arrive byte by byte.
IMAGE = random.Random(1).randbytes(55_000)
TEXT = base64.b64encode(IMAGE).decode()
UNPADDED = base64.b64encode(IMAGE[:-1]).decode()


def chunks(body: bytes, length: int) -> Iterator[bytes]:
    """Split a body into chunks of `length` bytes."""
    return (body[start : start + length] for start in range(0, len(body), length))


def parse(body: bytes, length: int) -> Any:
    """Return the JSON of a body that arrives in chunks of `length` bytes."""
    json_body = JsonBody()
    for chunk in chunks(body, length):
        json_body.write(chunk)
    return EngineResponse(200, "OK", httpx.Headers(), json_body.getvalue(), json_body.images).json()


def with_base64(value: Any) -> Any:
    """Return JSON with base64 in place of bytes, as it was before decoding."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [with_base64(item) for item in value]
    if isinstance(value, dict):
        return {name: with_base64(item) for name, item in value.items()}
    return value


@pytest.mark.parametrize("length", [1, 3, 1_000, 4_096, 16_384, 65_536])
@pytest.mark.parametrize("text", [TEXT, UNPADDED, f"data:image/png;base64,{TEXT}"], ids=["padded", "bare", "data URL"])
def test_images_are_decoded(text: str, length: int) -> None:
    """In any division into chunks, each image becomes bytes and everything else is unchanged."""
    original = {"data": [{"b64_json": text, "revised_prompt": 'a "fox"'}, {"b64_json": text}], "usage": {"total": 7}}
    image = base64.b64decode(text.rpartition(",")[2])

    parsed = parse(json.dumps(original).encode(), length)

    assert parsed == {
        "data": [{"b64_json": image, "revised_prompt": 'a "fox"'}, {"b64_json": image}],
        "usage": {"total": 7},
    }


@pytest.mark.parametrize("length", [1, 1_000, 16_384])
@pytest.mark.parametrize(
    "text",
    [
        base64.encodebytes(IMAGE).decode(),
        f"{TEXT[:40_000]}\n{TEXT[40_000:]}",
        f"{TEXT}{TEXT}",
        TEXT[:-5],
        "A" * 50_000 + "!",
        "one long sentence " * 5_000,
        f'said "{TEXT}"',
        "",
    ],
    ids=["in lines", "one line end", "padding inside", "cut off", "odd end", "words", "quoted", "empty"],
)
def test_other_long_strings_are_unchanged(text: str, length: int) -> None:
    """These are long texts, and base64 that only a lenient decoder accepts."""
    assert parse(json.dumps([text, {"b64_json": text}]).encode(), length) == [text, {"b64_json": text}]


@pytest.mark.parametrize("length", [1_000, 16_384])
def test_base64_with_escaped_slashes_is_decoded_later(length: int) -> None:
    """PHP escapes slashes in JSON; such an image stays text until it is decoded by itself."""
    body = json.dumps([TEXT]).replace("/", "\\/").encode()

    (parsed,) = parse(body, length)

    assert decode_base64(parsed, "engine") == IMAGE


@pytest.mark.parametrize("length", [1_000, 200_000])
def test_json_that_ends_within_an_image_is_unchanged(length: int) -> None:
    """The text before the end is kept."""
    body = json.dumps([TEXT]).encode()[:-30]
    json_body = JsonBody()
    for chunk in chunks(body, length):
        json_body.write(chunk)

    assert bytes(json_body.getvalue()) == body


@given(data=st.data())
def test_only_images_are_changed(data: st.DataObject) -> None:
    """Any JSON in any chunks is the same again after its images are encoded."""
    run = st.integers(0, 40_000).map(lambda length: TEXT[: length // 4 * 4])
    odd = st.sampled_from(
        ['"', "\\", "\\\\", "/", "\n", "=", "==", "é", "\ud7ff", "data:", "data:image/png;base64,", "x"]
    )
    strings = st.lists(odd | run, max_size=5).map("".join)
    values = st.recursive(strings | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=6)
    original = data.draw(st.dictionaries(st.sampled_from("abc"), values, max_size=3))
    body = json.dumps(original, ensure_ascii=data.draw(st.booleans())).encode()

    parsed = parse(body, data.draw(st.integers(1, 50_000)))

    assert with_base64(parsed) == _without_prefixes(original, with_base64(parsed))


def _without_prefixes(original: Any, parsed: Any) -> Any:
    """Return `original` without the `data:` prefix of each image that was decoded."""
    if isinstance(original, str):
        bare = original.partition(",")[2]
        return bare if original.startswith("data:") and parsed == bare else original
    if isinstance(original, list):
        return [_without_prefixes(*pair) for pair in zip(original, parsed, strict=True)]
    if isinstance(original, dict):
        return {name: _without_prefixes(value, parsed[name]) for name, value in original.items()}
    return original


def test_base64_is_never_held_whole() -> None:
    """Ten images take little more memory than their own bytes; neither the body nor any base64 is kept."""
    image = IMAGE * 20
    opening, text, closing = b'{"b64_json":"', base64.b64encode(image), b'"}'
    json_body = JsonBody()
    tracemalloc.start()
    try:
        for number in range(10):
            json_body.write((b"," if number else b"[") + opening)
            for chunk in chunks(text, 16_384):
                json_body.write(chunk)
            json_body.write(closing)
        json_body.write(b"]")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(json_body.images) == 10
    # The buffer of the arriving image may be larger than the image.
    assert peak < 10 * len(image) + len(image) // 4 + 500_000


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "model", "answer"),
    [
        ("openai", "m", {"data": [{"b64_json": TEXT}]}),
        ("openai", "m", {"data": [{"url": f"data:image/png;base64,{TEXT}"}]}),
        ("automatic1111", "m", {"images": [TEXT], "info": json.dumps({"all_seeds": [5], "infotexts": ["a fox"]})}),
        ("gemini", "m", {"candidates": [{"content": {"parts": [{"inlineData": {"data": TEXT}}]}}]}),
        ("gemini", "imagen-m", {"predictions": [{"bytesBase64Encoded": TEXT}]}),
    ],
    ids=["openai", "openai, data URL", "automatic1111", "gemini", "imagen"],
)
async def test_engines_accept_decoded_images(
    serve: Callable[[ASGIApp], str], connect: Callable[..., Connection], name: str, model: str, answer: Any
) -> None:
    """An image that is too long for one chunk of the network is returned unchanged."""

    async def respond(_request: Request) -> JSONResponse:
        return JSONResponse(answer)

    url = serve(Starlette(routes=[Route("/{path:path}", respond, methods=["POST"])]))
    fields = ("IMAGES_OPENAI_API_BASE_URL", "AUTOMATIC1111_BASE_URL", "IMAGES_GEMINI_API_BASE_URL")
    config = ImagesConfig.model_validate({**dict.fromkeys(fields, url), "IMAGES_GEMINI_ENDPOINT_METHOD": ""})
    engine = create_engine(name, config, connect())

    result = await engine.generate(ImageRequest(job_id="job", prompt="a fox", model=model))

    assert [image.data for image in result.images] == [IMAGE]


@pytest.mark.anyio
async def test_downloaded_files_are_not_searched_for_images(
    serve: Callable[[ASGIApp], str], connect: Callable[..., Connection]
) -> None:
    """ComfyUI writes workflows into its images; a file with base64 in it is returned byte for byte."""
    file = IMAGE + json.dumps([TEXT]).encode() + IMAGE

    async def respond(_request: Request) -> Response:
        return Response(file)

    url = serve(Starlette(routes=[Route("/{path:path}", respond)]))

    assert await EngineServer(connect(), "comfyui", url).download(f"{url}/a.png") == file


@pytest.mark.anyio
async def test_an_incomplete_image_is_released(connect: Callable[..., Connection]) -> None:
    """An error does not keep the data received before it, however long the error and its traceback are kept."""
    received = b'["' + UNPADDED.encode() * 28  # 2 MB

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n" + received)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as listening:
        url = "http://127.0.0.1:{1}".format(*listening.sockets[0].getsockname())
        server = EngineServer(connect(), "engine", url)
        tracemalloc.start()
        try:
            with pytest.raises(EngineUnavailable, match="broke off") as kept:
                await server.json("GET", "/")
            held, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert kept.value.may_have_cost is False
    assert peak > 1_400_000
    assert held < 700_000
