"""The gemini engine: generations and edits with `generateContent`."""

import asyncio
import base64
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from image_gateway.engines.gemini.engine import GeminiEngine
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import (
    EngineRejected,
)
from image_gateway.images.sniff import sniff
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.painter import paint
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.gemini.requests_and_responses import (
    FLASH,
    IMAGE,
    PNG,
    PNG_BASE64,
    Connect,
    MakeEngine,
    Serve,
    candidate,
    engine_returning,
    image_request,
    image_response,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("model", "kind"), [(IMAGE, "image/png"), (FLASH, "image/jpeg")])
async def test_images_keep_the_type_that_gemini_returns(make_engine: MakeEngine, model: str, kind: str) -> None:
    """Gemini returns JPEG as well as PNG; the bytes are passed on unchanged."""
    result = await make_engine().generate(image_request(model=model))
    found = sniff(result.images[0].data)
    assert (found.content_type, found.width, found.height) == (kind, 1024, 1024)


async def test_a_generation_sends_prompt_modalities_and_size(make_engine: MakeEngine, state: SandboxState) -> None:
    """The body has prompt, modalities, and the nearest ratio and size; the key is only in its header."""
    await make_engine().generate(image_request(size=Size(2560, 1440)))
    sent = state.record[0]
    assert sent.path == f"/v1beta/models/{IMAGE}:generateContent"
    assert (sent.headers["x-goog-api-key"], sent.query) == ("g-key", {})
    assert sent.json == {
        "contents": [{"role": "user", "parts": [{"text": "a red fox"}]}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
        },
    }


async def test_n_images_are_requested_in_n_concurrent_calls(serve: Serve, connect: Connect) -> None:
    """One call returns one image; this server responds only when all four calls have arrived."""
    gate: list[asyncio.Barrier] = []

    async def answer(_request: Any) -> JSONResponse:
        if not gate:
            gate.append(asyncio.Barrier(4))
        await gate[0].wait()
        return JSONResponse(image_response())

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    engine = GeminiEngine(ImagesConfig(IMAGES_GEMINI_API_BASE_URL=serve(app)), connect(timeout=5))
    assert len((await engine.generate(image_request(n=4))).images) == 4


async def test_token_counts_of_all_calls_are_added(make_engine: MakeEngine) -> None:
    """The sums have the OpenAI API's names."""
    result = await make_engine().generate(image_request(n=2))
    assert result.usage == {"input_tokens": 14, "output_tokens": 2580, "total_tokens": 2594}


async def test_a_failed_call_is_a_warning_if_others_succeed(make_engine: MakeEngine, state: SandboxState) -> None:
    """If one of three calls fails, the result has two images and Google's error text."""
    state.knobs.faults = [Fault(500, {"error": {"code": 500, "message": "An internal error has occurred."}})]
    result = await make_engine().generate(image_request(n=3))
    assert len(result.images) == 2
    assert result.warnings == ["1 of 3 calls failed: gemini answered 500: An internal error has occurred."]


async def test_text_beside_an_image_is_a_warning(make_engine: MakeEngine) -> None:
    """Text that the model returns with the image reaches the caller."""
    result = await make_engine().generate(image_request("a fox with text"))
    assert result.warnings == ["gemini says: Here is your image."]


async def test_text_instead_of_an_image_is_a_rejection(make_engine: MakeEngine) -> None:
    """The model's text says why there is no image."""
    with pytest.raises(EngineRejected, match="without an image: I can only tell you about that image"):
        await make_engine().generate(image_request("a fox in words"))


@pytest.mark.parametrize("spelling", [("inlineData", "mimeType"), ("inline_data", "mime_type")])
async def test_both_spellings_of_inline_data_are_read(serve: Serve, connect: Connect, spelling: Any) -> None:
    """Compatible servers use snake_case."""
    blob, mime = spelling
    body = candidate(content={"parts": [{"text": ""}, {blob: {mime: "image/png", "data": PNG_BASE64}}]})
    result = await engine_returning(serve, connect, body).generate(image_request())
    assert ([image.data for image in result.images], result.warnings) == ([PNG], [])


async def test_drafts_and_thoughts_are_ignored(serve: Serve, connect: Connect) -> None:
    """Drafts and thoughts are marked `thought` and come before the image."""
    draft = {"inlineData": {"data": base64.b64encode(b"draft").decode()}, "thought": True}
    body = image_response()
    body["candidates"][0]["content"]["parts"][:0] = [{"text": "Let me think", "thought": True}, draft, "stray"]
    result = await engine_returning(serve, connect, body).generate(image_request())
    assert ([image.data for image in result.images], result.warnings) == ([PNG], [])


async def test_an_unreadable_image_does_not_lose_the_others(serve: Serve, connect: Connect) -> None:
    """They are paid for, and a warning says that one is missing."""
    body = image_response()
    body["candidates"][0]["content"]["parts"].append({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KG"}})
    result = await engine_returning(serve, connect, body).generate(image_request())
    assert [image.data for image in result.images] == [PNG]
    assert result.warnings == ["1 of 2 calls failed: gemini returned an image that is not valid base64"]


async def test_a_finish_reason_is_ignored_if_there_is_an_image(serve: Serve, connect: Connect) -> None:
    """The reason matters only if the response has no image."""
    body = image_response()
    body["candidates"][0]["finishReason"] = "OTHER"
    assert len((await engine_returning(serve, connect, body).generate(image_request())).images) == 1


async def test_unsupported_parameters_are_ignored_with_a_warning(make_engine: MakeEngine) -> None:
    """Each ignored field has a warning."""
    result = await make_engine().generate(image_request(steps=3, seed=1, negative_prompt="blur", quality="high", n=2))
    assert [warning.split()[0] for warning in result.warnings] == ["steps", "negative_prompt", "seed", "quality"]


@pytest.mark.parametrize("model", [IMAGE, f"models/{IMAGE}"])
async def test_a_model_is_accepted_with_and_without_its_prefix(
    make_engine: MakeEngine, state: SandboxState, model: str
) -> None:
    """Google's model lists have the prefix, its documentation does not."""
    await make_engine().generate(image_request(model=model))
    assert state.record[0].path == f"/v1beta/models/{IMAGE}:generateContent"


async def test_a_model_name_cannot_change_the_path(make_engine: MakeEngine, state: SandboxState) -> None:
    """The caller's model is always one segment of the path."""
    with pytest.raises(EngineRejected, match="404"):
        await make_engine().generate(image_request(model="../../v1beta/files?x=1#"))
    assert state.record == []


async def test_an_edit_sends_each_input_with_its_type(make_engine: MakeEngine, state: SandboxState) -> None:
    """The input images follow the prompt in order, each with its own content type."""
    jpeg = paint("input", 40, 30, format="JPEG")
    images = (InputImage(jpeg, "image/jpeg", 40, 30), InputImage(PNG, "image/png", 16, 16))
    result = await make_engine(edit=True, method="predict").edit(image_request("add a hat", images=images))
    assert len(result.images) == 1
    assert state.record[0].json["contents"][0]["parts"] == [
        {"text": "add a hat"},
        {"inline_data": {"mime_type": "image/jpeg", "data": base64.b64encode(jpeg).decode()}},
        {"inline_data": {"mime_type": "image/png", "data": PNG_BASE64}},
    ]


async def test_a_mask_is_ignored_with_a_warning(make_engine: MakeEngine) -> None:
    """The Gemini API has no masks."""
    source = InputImage(PNG, "image/png", 16, 16)
    result = await make_engine(edit=True).edit(image_request(images=(source,), mask=source))
    assert result.warnings == ["mask is not supported by gemini and was ignored"]


async def test_the_engine_does_not_check_the_decoded_bytes(serve: Serve, connect: Connect) -> None:
    """The engine only decodes; the image store detects the type from the content."""
    body = candidate(content={"parts": [{"inlineData": {"data": base64.b64encode(b"hello").decode()}}]})
    assert (await engine_returning(serve, connect, body).generate(image_request())).images[0].data == b"hello"
