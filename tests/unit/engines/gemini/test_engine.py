"""The gemini engine against the sandbox's Gemini server, over HTTP."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest
from google.genai import types
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines import create_engine, create_prompt_writer
from image_gateway.engines.connection import Connection
from image_gateway.engines.gemini.engine import GeminiEngine
from image_gateway.engines.gemini.sizes import PIXELS_AT_1K, nearest_size
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import (
    ContentBlocked,
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    NotConfigured,
)
from image_gateway.images.sniff import sniff
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.gemini import FINISH_REASONS, create_app
from sandbox.engines.painter import paint
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
MakeEngine = Callable[..., GeminiEngine]

IMAGE = "gemini-sandbox-image"
FLASH = "gemini-sandbox-flash-image"
IMAGEN = "imagen-sandbox-001"
PNG = paint("tiny", 16, 16)
TINY = base64.b64encode(PNG).decode()


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
async def make(serve: Serve, connect: Connect, state: SandboxState) -> MakeEngine:
    """Make the engine for the sandbox server; `method` is the configured endpoint method."""
    url = serve(create_app(state)) + "/v1beta"

    def make(timeout: float = 20.0, key: str = "g-key", method: str = "", *, edit: bool = False) -> GeminiEngine:
        config = ImagesConfig(
            IMAGES_GEMINI_API_BASE_URL=url,
            IMAGES_GEMINI_API_KEY=key,
            IMAGES_EDIT_GEMINI_API_BASE_URL=url,
            IMAGES_EDIT_GEMINI_API_KEY=key,
            IMAGES_GEMINI_ENDPOINT_METHOD=method,
        )
        return GeminiEngine(config, connect(timeout=timeout, secrets=tuple(config.secrets())), edit=edit)

    return make


def requested(prompt: str = "a red fox", **fields: Any) -> ImageRequest:
    """A request in which the caller set every field given."""
    names = frozenset(fields) - {"images", "mask"}
    return ImageRequest(**{"job_id": "job-1", "prompt": prompt, "model": IMAGE, "requested": names, **fields})


def candidate(**fields: Any) -> dict[str, Any]:
    return {"candidates": [fields]}


def made(**part: Any) -> dict[str, Any]:
    """An answer with one image; keywords are further fields of its part."""
    return candidate(content={"parts": [{"inlineData": {"mimeType": "image/png", "data": TINY}, **part}]})


@pytest.mark.parametrize(("model", "kind"), [(IMAGE, "image/png"), (FLASH, "image/jpeg")])
async def test_a_generated_image_is_whatever_type_it_is(make: MakeEngine, model: str, kind: str) -> None:
    """Gemini answers JPEG as often as PNG: the bytes are handed on as they are."""
    result = await make().generate(requested(model=model))
    found = sniff(result.images[0].data)
    assert (found.content_type, found.width, found.height) == (kind, 1024, 1024)


async def test_a_size_that_gemini_makes_is_made(make: MakeEngine) -> None:
    """Without a warning."""
    result = await make().generate(requested(size=Size(1376, 768)))
    kind = sniff(result.images[0].data)
    assert (kind.width, kind.height, result.warnings) == (1376, 768, [])


async def test_the_request_is_a_generate_content_call(make: MakeEngine, state: SandboxState) -> None:
    """Prompt, modalities and the nearest ratio and size, with the key in its header and nowhere else."""
    await make().generate(requested(size=Size(2560, 1440)))
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


@pytest.mark.parametrize("fields", [{}, {"auto_size": True}])
async def test_without_a_size_the_model_chooses(make: MakeEngine, state: SandboxState, fields: dict[str, Any]) -> None:
    """Neither ratio nor size class is sent."""
    await make().generate(requested(**fields))
    assert "imageConfig" not in state.record[0].json["generationConfig"]


async def test_a_size_that_gemini_does_not_make_is_warned_of(make: MakeEngine) -> None:
    """The nearest one is asked for, and said."""
    result = await make().generate(requested(size=Size(640, 384)))
    assert sniff(result.images[0].data).width == 1376
    assert result.warnings == ["gemini does not make 640x384: requested 16:9 at 1K, about 1376x768"]


@pytest.mark.parametrize(
    ("wanted", "ratio", "scale"),
    [
        (Size(1024, 1024), "1:1", "1K"),
        (Size(512, 512), "1:1", "1K"),
        (Size(2048, 2048), "1:1", "2K"),
        (Size(4096, 4096), "1:1", "4K"),
        (Size(1024, 1536), "2:3", "1K"),
        (Size(1536, 1024), "3:2", "1K"),
        (Size(600, 800), "3:4", "1K"),
        (Size(800, 600), "4:3", "1K"),
        (Size(800, 1000), "4:5", "1K"),
        (Size(1000, 800), "5:4", "1K"),
        (Size(1080, 1920), "9:16", "1K"),
        (Size(3840, 2160), "16:9", "2K"),
        (Size(5504, 3072), "16:9", "4K"),
        (Size(2100, 900), "21:9", "1K"),
        (Size(16384, 1), "21:9", "1K"),
        (Size(1, 16384), "9:16", "1K"),
    ],
)
def test_the_nearest_ratio_and_size_are_chosen(wanted: Size, ratio: str, scale: str) -> None:
    """The ratio by the sides' proportion, the size class by the area."""
    nearest = nearest_size(wanted)
    assert (nearest.aspect_ratio, nearest.image_size) == (ratio, scale)


def test_every_size_that_gemini_makes_is_its_own_nearest() -> None:
    """A caller who asks for what there is gets it without a warning."""
    assert {ratio for ratio, size in PIXELS_AT_1K.items() if nearest_size(size).pixels != size} == set()


async def test_n_images_are_n_calls_at_once(serve: Serve, connect: Connect) -> None:
    """One call gives one image, so this server answers none of four before all of them are there."""
    gate: list[asyncio.Barrier] = []

    async def answer(_request: Any) -> JSONResponse:
        if not gate:
            gate.append(asyncio.Barrier(4))
        await gate[0].wait()
        return JSONResponse(made())

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    engine = GeminiEngine(ImagesConfig(IMAGES_GEMINI_API_BASE_URL=serve(app)), connect(timeout=5))
    assert len((await engine.generate(requested(n=4))).images) == 4


async def test_the_calls_token_counts_are_added_up(make: MakeEngine) -> None:
    """Under the names that the OpenAI API gives them."""
    result = await make().generate(requested(n=2))
    assert result.usage == {"input_tokens": 14, "output_tokens": 2580, "total_tokens": 2594}


async def test_calls_that_fail_leave_the_others_with_a_warning(make: MakeEngine, state: SandboxState) -> None:
    """One of three fails: two images and Google's words."""
    state.knobs.faults = [Fault(500, {"error": {"code": 500, "message": "An internal error has occurred."}})]
    result = await make().generate(requested(n=3))
    assert len(result.images) == 2
    assert result.warnings == ["1 of 3 calls failed: gemini answered 500: An internal error has occurred."]


async def test_the_models_text_is_kept_as_a_note(make: MakeEngine) -> None:
    """What the model says beside the image reaches the caller."""
    result = await make().generate(requested("a fox with text"))
    assert result.warnings == ["gemini says: Here is your image."]


async def test_words_in_place_of_an_image_are_a_refusal(make: MakeEngine) -> None:
    """The model's own words say why there is no image."""
    with pytest.raises(EngineRejected, match="without an image: I can only tell you about that image"):
        await make().generate(requested("a fox in words"))


@pytest.mark.parametrize("spelling", [("inlineData", "mimeType"), ("inline_data", "mime_type")])
async def test_both_spellings_of_inline_data_are_read(serve: Serve, connect: Connect, spelling: Any) -> None:
    """Compatible servers answer snake_case."""
    blob, mime = spelling
    body = candidate(content={"parts": [{"text": ""}, {blob: {mime: "image/png", "data": TINY}}]})
    result = await replaying(serve, connect, body).generate(requested())
    assert ([image.data for image in result.images], result.warnings) == ([PNG], [])


async def test_a_models_thoughts_are_no_image(serve: Serve, connect: Connect) -> None:
    """Drafts and thoughts are marked `thought` and come before the image."""
    draft = {"inlineData": {"data": base64.b64encode(b"draft").decode()}, "thought": True}
    body = made()
    body["candidates"][0]["content"]["parts"][:0] = [{"text": "Let me think", "thought": True}, draft, "stray"]
    result = await replaying(serve, connect, body).generate(requested())
    assert ([image.data for image in result.images], result.warnings) == ([PNG], [])


def replaying(serve: Serve, connect: Connect, body: Any, status: int = 200) -> GeminiEngine:
    """The engine for a server that gives one answer to everything."""

    async def answer(_request: Any) -> JSONResponse:
        return JSONResponse(body, status)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL=serve(app), IMAGES_GEMINI_ENDPOINT_METHOD="")
    return GeminiEngine(config, connect())


@pytest.mark.parametrize("reason", FINISH_REASONS)
async def test_each_finish_reason_is_a_content_block(make: MakeEngine, reason: str) -> None:
    """Google's reason and message reach the caller."""
    with pytest.raises(ContentBlocked) as caught:
        await make().generate(requested(f"a fox {reason.lower()}"))
    message = f"Unable to show the generated image: {reason}."
    assert caught.value.detail == f"gemini blocked the content: {reason}: {message}"


async def test_a_refused_prompt_is_a_content_block(make: MakeEngine) -> None:
    """`promptFeedback` comes without any candidate."""
    with pytest.raises(ContentBlocked, match="blocked the content: PROHIBITED_CONTENT: The prompt is blocked"):
        await make().generate(requested("blocked"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        (candidate(finishReason="SAFETY", content={}), "SAFETY"),
        (candidate(finishReason="IMAGE_SAFETY", content={"parts": [{"text": "No."}]}), "IMAGE_SAFETY"),
        (candidate(finishReason="SOME_NEW_REASON"), "SOME_NEW_REASON"),
        (candidate(finishReason="NO_IMAGE", finishMessage="Nothing was made."), "NO_IMAGE: Nothing was made."),
    ],
)
async def test_each_block_shape_is_a_content_block(serve: Serve, connect: Connect, body: Any, words: str) -> None:
    """With or without message, content and candidates."""
    with pytest.raises(ContentBlocked, match=f"blocked the content: {words}$"):
        await replaying(serve, connect, body).generate(requested())


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"candidates": []},
        {"candidates": ["x"]},
        candidate(finishReason="STOP"),
        candidate(content={"parts": [{"inlineData": {"data": 5}}]}, finishReason="STOP"),
        candidate(content={"parts": "none"}, finishReason="MAX_TOKENS"),
    ],
)
async def test_an_answer_without_anything_is_a_broken_engine(serve: Serve, connect: Connect, body: Any) -> None:
    """Neither image, nor words, nor a reason in the content: it may have cost all the same."""
    with pytest.raises(EngineUnavailable, match="answered without an image") as caught:
        await replaying(serve, connect, body).generate(requested())
    assert caught.value.may_have_cost


async def test_an_image_beside_a_finish_reason_is_an_image(serve: Serve, connect: Connect) -> None:
    """A reason only matters where nothing came."""
    body = made()
    body["candidates"][0]["finishReason"] = "OTHER"
    assert len((await replaying(serve, connect, body).generate(requested())).images) == 1


async def test_a_model_without_size_classes_is_asked_again_without(make: MakeEngine, state: SandboxState) -> None:
    """Older models know the ratio and refuse `imageSize`."""
    result = await make().generate(requested(model=FLASH, size=Size(1376, 768)))
    shapes = [entry.json["generationConfig"]["imageConfig"] for entry in state.record]
    assert shapes == [{"aspectRatio": "16:9", "imageSize": "1K"}, {"aspectRatio": "16:9"}]
    assert result.warnings == ["imageSize is not supported by this model and was left out"]


async def test_what_gemini_has_no_word_for_is_warned_of(make: MakeEngine) -> None:
    """Ignored fields are said to be."""
    result = await make().generate(requested(steps=3, seed=1, negative_prompt="blur", quality="high", n=2))
    assert [warning.split()[0] for warning in result.warnings] == ["steps", "negative_prompt", "seed", "quality"]


@pytest.mark.parametrize("model", [IMAGE, f"models/{IMAGE}"])
async def test_models_are_taken_with_and_without_their_prefix(
    make: MakeEngine, state: SandboxState, model: str
) -> None:
    """Google's own lists have the prefix, its documents do not."""
    await make().generate(requested(model=model))
    assert state.record[0].path == f"/v1beta/models/{IMAGE}:generateContent"


async def test_a_model_name_cannot_lead_elsewhere(make: MakeEngine, state: SandboxState) -> None:
    """A caller's model stays one segment of the path."""
    with pytest.raises(EngineRejected, match="404"):
        await make().generate(requested(model="../../v1beta/files?x=1#"))
    assert state.record == []


@pytest.mark.parametrize(("edit", "field"), [(False, "IMAGE_GENERATION_MODEL"), (True, "IMAGE_EDIT_MODEL")])
async def test_a_missing_model_names_its_field(make: MakeEngine, edit: bool, field: str) -> None:
    """Gemini has no model of its own."""
    engine = make(edit=edit)
    with pytest.raises(NotConfigured) as caught:
        await (engine.edit if edit else engine.generate)(requested(model=None))
    assert caught.value.field == field


@pytest.mark.parametrize(("edit", "prefix"), [(False, "IMAGES_GEMINI"), (True, "IMAGES_EDIT_GEMINI")])
async def test_the_official_host_needs_a_key(connect: Connect, edit: bool, prefix: str) -> None:
    """Nothing is asked of Google without one."""
    with pytest.raises(NotConfigured) as caught:
        create_engine("gemini", ImagesConfig(), connect(), edit=edit)
    assert caught.value.field == f"{prefix}_API_KEY"


def test_a_missing_url_names_its_field() -> None:
    """Nothing is asked of anybody."""
    with pytest.raises(NotConfigured) as caught:
        GeminiEngine(ImagesConfig(IMAGES_GEMINI_API_BASE_URL=""), None)  # type: ignore[arg-type]
    assert caught.value.field == "IMAGES_GEMINI_API_BASE_URL"


async def test_another_host_needs_no_key(make: MakeEngine, state: SandboxState) -> None:
    """And no empty header is sent."""
    await make(key="").generate(requested())
    assert "x-goog-api-key" not in state.record[0].headers


async def test_an_edit_sends_each_input_with_its_type(make: MakeEngine, state: SandboxState) -> None:
    """The inputs stand beside the prompt, in order, each under its true type."""
    jpeg = paint("input", 40, 30, format="JPEG")
    images = (InputImage(jpeg, "image/jpeg", 40, 30), InputImage(PNG, "image/png", 16, 16))
    result = await make(edit=True, method="predict").edit(requested("add a hat", images=images))
    assert len(result.images) == 1
    assert state.record[0].json["contents"][0]["parts"] == [
        {"text": "add a hat"},
        {"inline_data": {"mime_type": "image/jpeg", "data": base64.b64encode(jpeg).decode()}},
        {"inline_data": {"mime_type": "image/png", "data": TINY}},
    ]


async def test_a_mask_is_warned_of(make: MakeEngine) -> None:
    """The protocol has no mask."""
    source = InputImage(PNG, "image/png", 16, 16)
    result = await make(edit=True).edit(requested(images=(source,), mask=source))
    assert result.warnings == ["mask is not supported by gemini and was ignored"]


async def test_imagen_predicts_four_images_a_call(make: MakeEngine, state: SandboxState) -> None:
    """`predict` is chosen by the model's name, and takes up to four at a time."""
    result = await make().generate(requested(model=f"models/{IMAGEN}", n=6, size=Size(1024, 1024)))
    assert len(result.images) == 6
    assert [entry.path for entry in state.record] == [f"/v1beta/models/{IMAGEN}:predict"] * 2
    assert sorted(entry.json["parameters"]["sampleCount"] for entry in state.record) == [2, 4]
    assert state.record[0].json["instances"] == [{"prompt": "a red fox"}]


async def test_imagens_ratios_are_fewer(make: MakeEngine, state: SandboxState) -> None:
    """21:9 and 4K are not Imagen's: the nearest it has is asked for, and said."""
    result = await make().generate(requested(model=IMAGEN, size=Size(3168, 1344)))
    parameters = state.record[0].json["parameters"]
    assert (parameters["aspectRatio"], parameters["sampleImageSize"]) == ("16:9", "2K")
    assert result.warnings == ["gemini does not make 3168x1344: requested 16:9 at 2K, about 2752x1536"]


@pytest.mark.parametrize(
    ("method", "model", "used"),
    [
        ("", IMAGE, "generateContent"),
        ("", IMAGEN, "predict"),
        ("generateContent", IMAGEN, "generateContent"),
        ("predict", IMAGE, "predict"),
    ],
)
async def test_the_configured_method_wins_over_the_models_name(
    make: MakeEngine, state: SandboxState, method: str, model: str, used: str
) -> None:
    """Only an empty configuration leaves the choice to the name."""
    state.knobs.faults = [Fault(400, {"error": {"message": "seen"}})]
    with pytest.raises(EngineRejected, match="seen"):
        await make(method=method).generate(requested(model=model))
    assert state.record[0].path.endswith(f"{model}:{used}")


async def test_filtered_images_leave_the_others_with_a_warning(make: MakeEngine) -> None:
    """Imagen gives what it did not filter."""
    result = await make().generate(requested("some filtered", model=IMAGEN, n=4, size=Size(1024, 1024)))
    assert len(result.images) == 2
    reason = "Your image was filtered out by Google's usage policy: 58061214."
    assert result.warnings == [f"2 of 4 calls failed: gemini blocked the content: {reason}"]


async def test_images_that_are_all_filtered_are_a_content_block(make: MakeEngine) -> None:
    """With Google's reason."""
    with pytest.raises(ContentBlocked, match="filtered out by Google's usage policy"):
        await make().generate(requested("blocked", model=IMAGEN, n=2))


async def test_a_prompt_that_imagen_refuses_is_a_content_block(make: MakeEngine) -> None:
    """It comes as a plain 400, told by its words."""
    with pytest.raises(ContentBlocked, match="sensitive words"):
        await make().generate(requested("refused", model=IMAGEN))


@pytest.mark.parametrize("body", [{}, {"predictions": []}, {"predictions": "none"}, []])
async def test_no_predictions_are_a_broken_engine(serve: Serve, connect: Connect, body: Any) -> None:
    """There is neither an image nor a reason."""
    with pytest.raises(EngineUnavailable, match="answered without an image: no explanation"):
        await replaying(serve, connect, body).generate(requested(model=IMAGEN))


@pytest.mark.parametrize("item", ["x", {}, {"bytesBase64Encoded": "iVBORw0KG"}])
async def test_a_prediction_that_cannot_be_read_is_a_broken_engine(serve: Serve, connect: Connect, item: Any) -> None:
    """Missing and truncated base64 alike."""
    with pytest.raises(EngineUnavailable, match="not valid base64"):
        await replaying(serve, connect, {"predictions": [item]}).generate(requested(model=IMAGEN))


async def test_models_are_those_that_make_images_from_all_pages(make: MakeEngine, state: SandboxState) -> None:
    """The sandbox pages by two: language, embedding and video models stay out."""
    found = await make().models()
    assert [(model.id, model.name) for model in found] == [
        ("gemini-sandbox-image", "Gemini Sandbox Image"),
        ("gemini-sandbox-flash-image", "Gemini Sandbox Flash Image"),
        ("imagen-sandbox-001", "Imagen Sandbox"),
    ]
    assert [entry.query.get("pageToken") for entry in state.record] == [None, "2", "4"]


@pytest.mark.parametrize(
    ("method", "edit", "expected"),
    [
        ("", False, {IMAGE, FLASH, IMAGEN}),
        ("generateContent", False, {IMAGE, FLASH}),
        ("predict", False, {IMAGEN}),
        ("predict", True, {IMAGE, FLASH}),
    ],
)
async def test_models_are_those_that_can_be_called(
    make: MakeEngine, method: str, edit: bool, expected: set[str]
) -> None:
    """By the configured method, or for edits by the only one that takes images: what is listed works."""
    engine = make(method=method, edit=edit)
    assert {model.id for model in await engine.models()} == expected


async def test_a_list_of_models_ends(serve: Serve, connect: Connect) -> None:
    """A server whose pages have no end is asked for twenty."""
    body = {"models": [{"name": "models/nano-banana"}, {"name": 5}, "x"], "nextPageToken": "again"}
    found = await replaying(serve, connect, body).models()
    assert [model.name for model in found] == ["nano-banana"] * 20


@pytest.mark.parametrize("call", ["verify", "models", "generate"])
async def test_a_wrong_key_is_googles_400(make: MakeEngine, state: SandboxState, call: str) -> None:
    """Google answers 400 and not 401; the key stays out of the words."""
    state.knobs.key = "right-key"
    engine = make(key="wrong-key")
    with pytest.raises(EngineRejected, match="400: API key not valid") as caught:
        await (engine.generate(requested()) if call == "generate" else getattr(engine, call)())
    assert "wrong-key" not in caught.value.detail


async def test_no_key_is_googles_403(make: MakeEngine, state: SandboxState) -> None:
    """With a hint where to look."""
    state.knobs.key = "right-key"
    with pytest.raises(EngineRejected, match=r"403: Method doesn't allow unregistered callers.*engine's key"):
        await make(key="").verify()


async def test_the_right_key_verifies(make: MakeEngine, state: SandboxState) -> None:
    """Nothing is generated for it."""
    state.knobs.key = "g-key"
    await make().verify()
    assert {entry.method for entry in state.record} == {"GET"}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"object": "list", "data": []}, 200, "not a list of models; is it a Gemini API"),
        ([], 200, "not a list of models"),
        ({"detail": "Not Found"}, 404, "404: Not Found .check the engine's URL"),
    ],
)
async def test_another_kind_of_server_is_told_clearly(
    serve: Serve, connect: Connect, body: Any, status: int, words: str
) -> None:
    """Verify says what is wrong with the URL."""
    with pytest.raises(GatewayError, match=words):
        await replaying(serve, connect, body, status).verify()


async def test_an_unknown_model_gets_googles_words(make: MakeEngine) -> None:
    """A 404 that names the model."""
    with pytest.raises(EngineRejected, match="404: models/gemini-9-image is not found"):
        await make().generate(requested(model="gemini-9-image"))


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(429, {"error": {"message": "Quota exceeded"}}, {"Retry-After": "60"}), EngineRateLimited, "Quota"),
        (Fault(500, "<html><body><h1>Error 500</h1></body></html>"), EngineUnavailable, "answered 500: Error 500"),
        (Fault(200, "{oops"), EngineUnavailable, "200 with something that is not JSON"),
        (Fault(200, {"candidates": []}), EngineUnavailable, "without an image: no explanation"),
        (Fault(200, {"error": {"message": "odd"}}), EngineUnavailable, "without an image: odd"),
        (Fault(200, candidate(content={"parts": [{"inlineData": {"data": "iVBO"[:3]}}]})), EngineUnavailable, "base64"),
        (Fault(400, {"error": {"message": "Bad", "status": "INVALID_ARGUMENT"}}), EngineRejected, "400: Bad"),
        (Fault(503, {"error": {"message": "overloaded"}}, {"Retry-After": "9"}), EngineUnavailable, "503: overloaded"),
        (Fault(504, {"error": {"message": "Deadline expired"}}), EngineTimeout, "504: Deadline expired"),
        (Fault(0), EngineUnavailable, "broke off|answered 500"),
    ],
)
async def test_each_fault_becomes_its_error(
    make: MakeEngine, state: SandboxState, fault: Fault, error: type[GatewayError], words: str
) -> None:
    """The kind of error says what to do, the engine's own words say what it was."""
    state.knobs.faults = [fault]
    with pytest.raises(error, match=words):
        await make().generate(requested())


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.Help"}, {"retryDelay": "34.5s"}], 34.5),
        ([{"retryDelay": "soon"}, "x"], None),
        ("none", None),
    ],
)
async def test_the_wait_is_read_from_the_body(
    make: MakeEngine, state: SandboxState, details: Any, seconds: float | None
) -> None:
    """Google names it in `RetryInfo` and sends no `Retry-After`."""
    body = {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": details}}
    state.knobs.faults = [Fault(429, body, times=-1)]
    with pytest.raises(EngineRateLimited) as caught:
        await make().generate(requested())
    assert caught.value.retry_after == seconds


async def test_what_is_no_image_is_handed_on_for_the_store_to_judge(serve: Serve, connect: Connect) -> None:
    """The engine decodes; what the bytes are is told by the bytes, in one place."""
    body = candidate(content={"parts": [{"inlineData": {"data": base64.b64encode(b"hello").decode()}}]})
    assert (await replaying(serve, connect, body).generate(requested())).images[0].data == b"hello"


async def test_a_slow_server_is_a_timeout_that_may_have_cost(
    make: MakeEngine, state: SandboxState, loop_time: LoopTime
) -> None:
    """What was sent may still be made, and billed."""
    state.knobs.latency = LONG
    generating = asyncio.create_task(make(timeout=20).generate(requested()))
    await until(lambda: state.in_flight == 1)
    loop_time.advance(20)

    with pytest.raises(EngineTimeout, match="within 20 s") as caught:
        await generating
    assert caught.value.may_have_cost


async def test_an_unreachable_server_is_named(connect: Connect) -> None:
    """Nobody listens on port 9. It is named by its field, not by its address."""
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL="http://127.0.0.1:9")
    engine = create_engine("gemini", config, connect())
    with pytest.raises(EngineUnavailable, match=r"refused\): check IMAGES_GEMINI_API_BASE_URL$"):
        await engine.verify()


async def test_a_prompt_is_rewritten_by_the_language_model(make: MakeEngine, state: SandboxState) -> None:
    """The instruction stands apart from the prompt."""
    text = await make().complete(model="models/gemini-sandbox", system="Rewrite.", user="a fox")
    assert text == "a fox, in warm evening light, wide angle, fine detail"
    assert state.record[0].path == "/v1beta/models/gemini-sandbox:generateContent"
    assert state.record[0].json["system_instruction"] == {"parts": [{"text": "Rewrite."}]}


async def test_a_prompt_that_cannot_be_rewritten_is_an_error(make: MakeEngine) -> None:
    """A refusal is one, with Google's reason."""
    with pytest.raises(ContentBlocked, match="PROHIBITED_CONTENT"):
        await make().complete(model="gemini-sandbox", system="Rewrite.", user="blocked")


async def test_a_rewrite_without_text_is_an_error(serve: Serve, connect: Connect) -> None:
    """What is missing is said with how it ended."""
    with pytest.raises(EngineUnavailable, match="answered without text: MAX_TOKENS"):
        await replaying(serve, connect, candidate(finishReason="MAX_TOKENS")).complete(model="m", system="s", user="u")


def test_gemini_is_a_prompt_writer(connect: Connect) -> None:
    """The service asks the configured engine where that can rewrite."""
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL="http://127.0.0.1:9")
    assert isinstance(create_prompt_writer("gemini", config, connect()), GeminiEngine)


async def test_requests_validate_against_googles_types(make: MakeEngine, state: SandboxState) -> None:
    """`google-genai` refuses fields that it does not know."""
    image = InputImage(PNG, "image/png", 16, 16)
    await make().generate(requested(size=Size(1024, 1024)))
    await make(edit=True).edit(requested(images=(image,)))
    await make().complete(model="gemini-sandbox", system="Rewrite.", user="a fox")
    for entry in state.record:
        sent = dict(entry.json)
        for content in sent.pop("contents"):
            types.Content.model_validate(content)
        if instruction := sent.pop("system_instruction", None):
            types.Content.model_validate(instruction)
        config = types.GenerateContentConfig.model_validate(sent.pop("generationConfig", {}))
        assert config.image_config is None or config.image_config.aspect_ratio == "1:1"
        assert sent == {}


@pytest.mark.parametrize(
    "prompt", ["a fox", "a fox with text", "in words", "blocked", *(reason.lower() for reason in FINISH_REASONS)]
)
async def test_the_sandboxs_answers_parse_with_googles_types(serve: Serve, connect: Connect, prompt: str) -> None:
    """Images, words, both, and every refusal."""
    url = serve(create_app(SandboxState())) + f"/v1beta/models/{IMAGE}:generateContent"
    body = {
        "contents": [{"parts": [{"text": prompt}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }
    answer = (await connect().client.post(url, json=body)).json()
    parsed = types.GenerateContentResponse.model_validate(answer)
    assert parsed.candidates or (parsed.prompt_feedback and parsed.prompt_feedback.block_reason)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (f"{IMAGE}:generateContent", None, "400: Invalid JSON payload"),
        (f"{IMAGE}:generateContent", {"contents": []}, "400: * GenerateContentRequest.contents"),
        (f"{IMAGE}:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}, "400: Model gemini-sandbox-image"),
        (f"{IMAGE}:predict", {}, "404: models/gemini-sandbox-image is not found"),
        (f"{IMAGEN}:predict", {"instances": [{"prompt": "x"}], "parameters": {"sampleCount": 5}}, "400: sampleCount"),
        (
            f"{IMAGEN}:predict",
            {"instances": [{"prompt": "x"}], "parameters": {"aspectRatio": "7:1"}},
            "400: 7:1 at 1K is not one of the supported values",
        ),
    ],
)
async def test_the_sandbox_refuses_as_google_does(
    serve: Serve, connect: Connect, path: str, body: Any, words: str
) -> None:
    """In Google's error shape."""
    url = serve(create_app(SandboxState())) + f"/v1beta/models/{path}"
    answer = await connect().client.post(url, **({"json": body} if body is not None else {"content": b"{"}))
    error = answer.json()["error"]
    assert answer.status_code == error["code"]
    assert f"{error['code']}: {error['message']}".startswith(words)


async def test_the_sandbox_hides_reasons_that_nobody_asked_for(serve: Serve, connect: Connect) -> None:
    """As Imagen does: a prompt whose images are all filtered is answered with nothing."""
    url = serve(create_app(SandboxState())) + f"/v1beta/models/{IMAGEN}:predict"
    answer = await connect().client.post(url, json={"instances": [{"prompt": "blocked"}], "parameters": {}})
    assert (answer.status_code, answer.json()) == (200, {})
