"""An engine's JSON, taken as it arrives."""

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

IMAGE = random.Random(1).randbytes(100_000)
TEXT = base64.b64encode(IMAGE).decode()
UNPADDED = base64.b64encode(IMAGE[:-1]).decode()


def chunks(body: bytes, length: int) -> Iterator[bytes]:
    """A body in chunks of `length` bytes."""
    return (body[start : start + length] for start in range(0, len(body), length))


def read(body: bytes, length: int) -> Any:
    """The JSON of a body that came in chunks of `length` bytes."""
    taken = JsonBody()
    for chunk in chunks(body, length):
        taken.write(chunk)
    return EngineResponse(200, "OK", httpx.Headers(), taken.getvalue(), taken.images).json()


def undone(value: Any) -> Any:
    """JSON with base64 in the place of bytes, as it was before any was decoded."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [undone(item) for item in value]
    if isinstance(value, dict):
        return {name: undone(item) for name, item in value.items()}
    return value


@pytest.mark.parametrize("length", [1, 3, 1_000, 4_096, 16_384, 65_536])
@pytest.mark.parametrize("text", [TEXT, UNPADDED, f"data:image/png;base64,{TEXT}"], ids=["padded", "bare", "data URL"])
def test_images_come_decoded(text: str, length: int) -> None:
    """However a body is cut into chunks, each of its images is bytes, and all around them is as it was."""
    wanted = {"data": [{"b64_json": text, "revised_prompt": 'a "fox"'}, {"b64_json": text}], "usage": {"total": 7}}
    image = base64.b64decode(text.rpartition(",")[2])

    found = read(json.dumps(wanted).encode(), length)

    assert found == {
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
def test_what_is_no_plain_base64_stays_as_it_came(text: str, length: int) -> None:
    """Long strings that are something else, or base64 that needs a more patient decoder, are strings as before."""
    assert read(json.dumps([text, {"b64_json": text}]).encode(), length) == [text, {"b64_json": text}]


@pytest.mark.parametrize("length", [1_000, 16_384])
def test_escaped_slashes_are_no_part_of_an_image(length: int) -> None:
    """Base64 whose slashes are escaped, as PHP writes JSON, is the same image in the end."""
    body = json.dumps([TEXT]).replace("/", "\\/").encode()

    (found,) = read(body, length)

    assert decode_base64(found, "engine") == IMAGE


@pytest.mark.parametrize("length", [1_000, 200_000])
def test_json_that_breaks_off_in_an_image_is_told_as_it_came(length: int) -> None:
    """Where the end of the JSON is missing, what came is kept."""
    body = json.dumps([TEXT]).encode()[:-30]
    taken = JsonBody()
    for chunk in chunks(body, length):
        taken.write(chunk)

    assert bytes(taken.getvalue()) == body


@given(data=st.data())
def test_nothing_but_images_is_changed(data: st.DataObject) -> None:
    """Any JSON in any chunks holds the same as before, once its images are base64 again."""
    run = st.integers(0, 40_000).map(lambda length: TEXT[: length // 4 * 4])
    odd = st.sampled_from(
        ['"', "\\", "\\\\", "/", "\n", "=", "==", "é", "\ud7ff", "data:", "data:image/png;base64,", "x"]
    )
    strings = st.lists(odd | run, max_size=5).map("".join)
    values = st.recursive(strings | st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=6)
    wanted = data.draw(st.dictionaries(st.sampled_from("abc"), values, max_size=3))
    body = json.dumps(wanted, ensure_ascii=data.draw(st.booleans())).encode()

    found = read(body, data.draw(st.integers(1, 50_000)))

    assert undone(found) == _without_prefixes(wanted, undone(found))


def _without_prefixes(wanted: Any, found: Any) -> Any:
    """`wanted`, where an image was found behind a `data:` prefix, without that prefix."""
    if isinstance(wanted, str):
        bare = wanted.partition(",")[2]
        return bare if wanted.startswith("data:") and found == bare else wanted
    if isinstance(wanted, list):
        return [_without_prefixes(*pair) for pair in zip(wanted, found, strict=True)]
    if isinstance(wanted, dict):
        return {name: _without_prefixes(value, found[name]) for name, value in wanted.items()}
    return wanted


def test_base64_is_never_held_whole() -> None:
    """Ten images take hardly more memory than their own bytes: neither the body nor any base64 is there beside."""
    image = IMAGE * 20
    opening, text, closing = b'{"b64_json":"', base64.b64encode(image), b'"}'
    taken = JsonBody()
    tracemalloc.start()
    try:
        for number in range(10):
            taken.write((b"," if number else b"[") + opening)
            for chunk in chunks(text, 16_384):
                taken.write(chunk)
            taken.write(closing)
        taken.write(b"]")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(taken.images) == 10
    # The one that is arriving may have room to grow.
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
async def test_engines_take_images_that_came_decoded(
    serve: Callable[[ASGIApp], str], connect: Callable[..., Connection], name: str, model: str, answer: Any
) -> None:
    """An image that is too long for one chunk of the network is what the engine made."""

    async def respond(_request: Request) -> JSONResponse:
        return JSONResponse(answer)

    url = serve(Starlette(routes=[Route("/{path:path}", respond, methods=["POST"])]))
    fields = ("IMAGES_OPENAI_API_BASE_URL", "AUTOMATIC1111_BASE_URL", "IMAGES_GEMINI_API_BASE_URL")
    config = ImagesConfig.model_validate({**dict.fromkeys(fields, url), "IMAGES_GEMINI_ENDPOINT_METHOD": ""})
    engine = create_engine(name, config, connect())

    result = await engine.generate(ImageRequest(job_id="job", prompt="a fox", model=model))

    assert [image.data for image in result.images] == [IMAGE]


@pytest.mark.anyio
async def test_files_are_never_looked_into(serve: Callable[[ASGIApp], str], connect: Callable[..., Connection]) -> None:
    """A file with base64 in it, as ComfyUI writes workflows into its images, comes byte for byte."""
    file = IMAGE + json.dumps([TEXT]).encode() + IMAGE

    async def respond(_request: Request) -> Response:
        return Response(file)

    url = serve(Starlette(routes=[Route("/{path:path}", respond)]))

    assert await EngineServer(connect(), "comfyui", url).download(f"{url}/a.png") == file


@pytest.mark.anyio
async def test_an_image_that_breaks_off_is_let_go_of(connect: Callable[..., Connection]) -> None:
    """An error does not keep what had come before it, however long something keeps the error and its traceback."""
    most = b'["' + UNPADDED.encode() * 15  # 2 MB

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 20000000\r\n\r\n" + most)
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
