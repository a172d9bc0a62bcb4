"""Recorded responses of a stable-diffusion.cpp server, replayed to the engines for such a server.

The recordings have truncated base64, so every image is a small PNG here, with the text chunks of the real one.
"""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.automatic1111.engine import Automatic1111Engine
from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import EngineRejected, EngineUnavailable, GatewayError
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.painter import paint

pytestmark = pytest.mark.anyio

CAPTURES = Path(__file__).parents[3] / "data" / "captures" / "stable-diffusion-cpp"
TRUNCATED = re.compile(r"\.\.\.\(\d+ chars\)$")
PNG = paint("replayed", 64, 64)
INPUT = InputImage(PNG, "image/png", 64, 64)
MASK = InputImage(paint("mask", 64, 64, transparent=True), "image/png", 64, 64)
Start = Callable[[str], tuple[Any, list[Any]]]


def images(recorded: dict[str, Any]) -> list[bytes]:
    """Return PNGs with the sizes and text chunks of the recorded images."""
    return [with_text(image["text_chunks"], image["size"]) for image in recorded.get("images", [])]


def with_text(chunks: dict[str, str], size: list[int]) -> bytes:
    info = PngImagePlugin.PngInfo()
    for name, text in chunks.items():
        info.add_text(name, text)
    out = io.BytesIO()
    Image.open(io.BytesIO(PNG)).resize((size[0], size[1])).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def with_images_restored(value: Any, originals: Iterator[bytes]) -> Any:
    """Return the recorded value with a complete image in place of each truncated one."""
    if isinstance(value, dict):
        return {name: with_images_restored(item, originals) for name, item in value.items()}
    if isinstance(value, list):
        return [with_images_restored(item, originals) for item in value]
    if isinstance(value, str) and TRUNCATED.search(value):
        return base64.b64encode(next(originals, PNG)).decode()
    return value


def read(capture: str) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((CAPTURES / f"{capture}.json").read_text())
    return recorded


def replay(capture: str, seen: list[Any]) -> Starlette:
    """Return a server that sends the recorded response on the recorded route, and keeps the bodies it receives."""
    recorded = read(capture)
    response = recorded["response"]

    async def answer(request: Request) -> Response:
        raw = await request.body()
        seen.append(json.loads(raw) if request.headers.get("content-type") == "application/json" else raw)
        return JSONResponse(with_images_restored(response["body"], iter(images(recorded))), response["status"])

    request = recorded["request"]
    return Starlette(routes=[Route(request["path"], answer, methods=[request["method"]])])


@pytest.fixture
async def start(serve: Callable[[ASGIApp], str], connect: Callable[..., Connection]) -> Start:
    """Replay a capture. Returns the engine of its API, and the bodies that the server receives."""

    def start(capture: str) -> tuple[Any, list[Any]]:
        seen: list[Any] = []
        url = serve(replay(capture, seen))
        if capture.startswith("sdapi"):
            return Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=url), connect()), seen
        config = ImagesConfig(IMAGES_OPENAI_API_BASE_URL=f"{url}/v1", IMAGES_EDIT_OPENAI_API_BASE_URL=f"{url}/v1")
        return OpenAIEngine(config, connect(), edit="edits" in capture), seen

    return start


def image_request(**fields: Any) -> ImageRequest:
    names = frozenset(fields) - {"images", "mask"}
    request = {"job_id": "job-1", "prompt": "a red fox", "size": Size(64, 64), "requested": names, **fields}
    return ImageRequest(**request)


@pytest.mark.parametrize(
    ("capture", "fields", "seeds"),
    [
        # If `info` is empty, the seeds are in the images' text.
        ("sdapi_txt2img_ok", {}, [7]),
        ("sdapi_txt2img_ok_newer_server", {"model": "tiny-random-sd1"}, [7]),
        ("sdapi_txt2img_batch2", {"n": 2}, [7, 8]),
        ("openai_generations_ok", {"model": "sd-cpp-local"}, [None]),
        ("openai_generations_n2", {"n": 2}, [None, None]),
        ("openai_generations_url_format", {}, [None]),
        ("openai_generations_size_65x65", {"size": Size(65, 65)}, [None]),
    ],
)
async def test_a_recorded_generation_returns_its_images(
    start: Start, capture: str, fields: dict[str, Any], seeds: list[int | None]
) -> None:
    """One call returns all images with the server's seeds and without a warning."""
    engine, seen = start(capture)
    result = await engine.generate(image_request(**fields))
    assert [image.data for image in result.images] == images(read(capture))
    assert [image.seed for image in result.images] == seeds
    assert (len(seen), result.warnings) == (1, [])


async def test_a_recorded_size_that_the_server_rounded_is_a_warning(start: Start) -> None:
    """The server makes multiples of 64, and does not say so."""
    engine, _seen = start("sdapi_txt2img_width_65")

    result = await engine.generate(image_request(size=Size(65, 64)))

    assert result.warnings == ["automatic1111 made 128x64 in place of 65x64"]


@pytest.mark.parametrize(
    ("capture", "fields"),
    [
        ("sdapi_img2img_ok", {}),
        ("sdapi_img2img_mask", {"mask": MASK}),
        ("openai_edits_ok", {}),
        ("openai_edits_mask", {"mask": MASK}),
        ("openai_edits_two_images", {"images": (INPUT, INPUT)}),
    ],
)
async def test_a_recorded_edit_returns_its_image(start: Start, capture: str, fields: dict[str, Any]) -> None:
    """Input images and mask are sent in the server's format."""
    engine, _seen = start(capture)
    result = await engine.edit(image_request(**{"images": (INPUT,), **fields}))
    assert ([image.data for image in result.images], result.warnings) == (images(read(capture)), [])


@pytest.mark.parametrize(
    ("capture", "error", "text"),
    [
        ("sdapi_txt2img_no_prompt", EngineRejected, "answered 400: prompt required"),
        ("sdapi_txt2img_width_neg", EngineRejected, "answered 400: width and height must be positive"),
        ("sdapi_txt2img_bad_json", EngineUnavailable, r"answered 500: server_error: \[json\.exception\.parse_error"),
        ("sdapi_txt2img_steps_null", EngineUnavailable, "500: server_error: .* must be number, but is null"),
        ("openai_generations_no_prompt", EngineRejected, "answered 400: prompt required"),
        ("openai_edits_no_image", EngineRejected, r"answered 400: at least one image\[\] required"),
    ],
)
async def test_a_recorded_refusal_has_the_servers_error_text(
    start: Start, capture: str, error: type[GatewayError], text: str
) -> None:
    """The server's `error`, and its `message` if there is one, reach the caller."""
    engine, _seen = start(capture)
    with pytest.raises(error, match=text):
        await (engine.edit(image_request(images=(INPUT,))) if "edits" in capture else engine.generate(image_request()))


async def test_an_edit_without_an_input_image_is_not_sent(start: Start) -> None:
    """The recorded server responds to it with a 200 and an unrelated image."""
    engine, seen = start("sdapi_img2img_no_init")
    with pytest.raises(GatewayError, match="needs an image to edit"):
        await engine.edit(image_request())
    assert seen == []


async def test_no_null_is_sent(start: Start) -> None:
    """The recorded server responds to `steps: null` with a 500."""
    engine, seen = start("sdapi_txt2img_ok")
    await engine.generate(image_request(size=None))
    assert None not in seen[0].values()


async def test_another_checkpoint_than_the_recorded_one_is_a_warning(start: Start) -> None:
    """`info` has the file name of the checkpoint."""
    engine, _seen = start("sdapi_txt2img_ok_newer_server")
    result = await engine.generate(image_request(model="another"))
    assert result.warnings == ["model another is not known to automatic1111, which used tiny-random-sd1.safetensors"]


@pytest.mark.parametrize(
    ("capture", "model"), [("sdapi_get_sd_models", "tiny-random-sd1"), ("openai_models", "sd-cpp-local")]
)
async def test_the_recorded_models_are_listed_and_verified(start: Start, capture: str, model: str) -> None:
    """No other route is needed for either."""
    engine, _seen = start(capture)
    await engine.verify()
    assert [(found.id, found.name) for found in await engine.models()] == [(model, model)]


@pytest.mark.parametrize("capture", ["sdapi_get_options", "sdapi_get_samplers"])
async def test_verification_needs_the_list_of_checkpoints(start: Start, capture: str) -> None:
    """A server with only options or samplers fails verification."""
    engine, _seen = start(capture)
    with pytest.raises(GatewayError, match="answered 404"):
        await engine.verify()


def test_every_recording_is_replayed() -> None:
    """A recording that is added needs a test."""
    source = Path(__file__).read_text()
    assert [path.stem for path in sorted(CAPTURES.glob("*.json")) if f'"{path.stem}"' not in source] == []
