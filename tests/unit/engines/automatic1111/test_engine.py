"""The automatic1111 engine against the sandbox's AUTOMATIC1111 server, over HTTP."""

import asyncio
import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines import create_engine
from image_gateway.engines.automatic1111.engine import Automatic1111Engine
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import (
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    InvalidImage,
    NotConfigured,
)
from image_gateway.images.sniff import sniff
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.automatic1111 import create_app
from sandbox.engines.painter import paint
from sandbox.engines.state import Fault, SandboxState
from tests.loop_time import LoopTime
from tests.polling import LONG, until

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
MakeEngine = Callable[..., Automatic1111Engine]
SMALL = Size(64, 48)


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
async def make(serve: Serve, connect: Connect, state: SandboxState) -> MakeEngine:
    """Make the engine for the sandbox server; keywords are fields of `Connection` and of the configuration."""
    url = serve(create_app(state))

    def make(timeout: float = 10.0, **fields: Any) -> Automatic1111Engine:
        config = ImagesConfig(AUTOMATIC1111_BASE_URL=url, **fields)
        return Automatic1111Engine(config, connect(timeout=timeout, secrets=tuple(config.secrets())))

    return make


def requested(prompt: str = "a red fox", **fields: Any) -> ImageRequest:
    """A small image's request in which the caller set every field given."""
    names = frozenset(fields) - {"images", "mask"}
    return ImageRequest(**{"job_id": "job-1", "prompt": prompt, "size": SMALL, "requested": names, **fields})


def input_image(width: int = 64, height: int = 48) -> InputImage:
    return InputImage(paint("input", width, height), "image/png", width, height)


def answering(body: Any, status: int = 200) -> Starlette:
    """A server that gives one answer to everything."""

    async def answer(_request: Any) -> JSONResponse:
        return JSONResponse(body, status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def encoded(seed: int = 0) -> str:
    return base64.b64encode(paint("p", 16, 16, seed=seed)).decode()


async def test_a_generated_image_has_the_size_asked_for(make: MakeEngine) -> None:
    """txt2img gets width and height, and the image comes in them."""
    result = await make().generate(requested())
    kind = sniff(result.images[0].data)
    assert (kind.width, kind.height, result.warnings) == (64, 48, [])


async def test_the_request_holds_what_was_asked_and_no_null(make: MakeEngine, state: SandboxState) -> None:
    """Every field of the form that A1111 has a word for is sent under that word."""
    await make().generate(requested(steps=3, seed=7, negative_prompt="blur", n=2, model="sandbox-sketcher"))
    assert state.record[0].json == {
        "prompt": "a red fox",
        "negative_prompt": "blur",
        "steps": 3,
        "seed": 7,
        "width": 64,
        "height": 48,
        "batch_size": 1,
        "n_iter": 2,
        "override_settings": {"sd_model_checkpoint": "sandbox-sketcher"},
        "override_settings_restore_afterwards": True,
    }


async def test_what_nobody_asked_for_is_not_sent(make: MakeEngine, state: SandboxState) -> None:
    """Without steps, size and model the server's own defaults hold, and its seed is random."""
    await make().generate(ImageRequest(job_id="job-1", prompt="a fox"))
    assert state.record[0].json == {"prompt": "a fox", "batch_size": 1, "n_iter": 1, "seed": -1}


async def test_several_images_come_without_the_grid(make: MakeEngine, state: SandboxState) -> None:
    """The grid that comes before several images is dropped by `index_of_first_image`."""
    result = await make().generate(requested(n=3, seed=5))
    assert [sniff(image.data).width for image in result.images] == [64, 64, 64]
    assert [image.seed for image in result.images] == [5, 6, 7]
    assert len(state.record) == 1


async def test_a_grid_that_info_does_not_tell_of_is_dropped(serve: Serve, connect: Connect) -> None:
    """Where one image more than asked comes and `info` is empty, the first is the grid."""
    images = [base64.b64encode(paint("grid", 32, 16)).decode(), encoded(1), encoded(2)]
    url = serve(answering({"images": images, "info": ""}))
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=url), connect())
    result = await engine.generate(requested(n=2))
    assert [sniff(image.data).width for image in result.images] == [16, 16]


async def test_images_beyond_those_asked_for_are_left_out(serve: Serve, connect: Connect) -> None:
    """Extensions append images of their own, such as detection maps, after the images."""
    body = {"images": [encoded(1), encoded(2)], "info": json.dumps({"index_of_first_image": 0, "all_seeds": [9]})}
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=serve(answering(body))), connect())
    result = await engine.generate(requested())
    assert [image.seed for image in result.images] == [9]


async def test_a_server_that_gives_one_image_a_call_is_asked_for_the_rest(serve: Serve, connect: Connect) -> None:
    """Servers without `n_iter` answer one image; the others follow one by one, each with its own seed."""
    seen: list[dict[str, Any]] = []

    async def answer(request: Any) -> JSONResponse:
        body = await request.json()
        seen.append(body)
        return JSONResponse({"images": ["data:image/png;base64," + encoded(body["seed"])], "info": ""})

    app = Starlette(routes=[Route("/sdapi/v1/txt2img", answer, methods=["POST"])])
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=serve(app)), connect())
    result = await engine.generate(requested(n=3, seed=7))
    assert [image.data for image in result.images] == [paint("p", 16, 16, seed=seed) for seed in (7, 8, 9)]
    assert sorted((body["seed"], body["n_iter"], body["batch_size"]) for body in seen) == [
        (7, 3, 1),
        (8, 1, 1),
        (9, 1, 1),
    ]


async def test_rest_that_fails_leaves_the_first_images_with_a_warning(serve: Serve, connect: Connect) -> None:
    """One image of two is an answer; the server's words on the other are a warning."""

    async def answer(request: Any) -> JSONResponse:
        if (await request.json())["n_iter"] == 1:
            return JSONResponse({"error": "OutOfMemoryError", "errors": "CUDA out of memory"}, 500)
        return JSONResponse({"images": [encoded()]})

    app = Starlette(routes=[Route("/sdapi/v1/txt2img", answer, methods=["POST"])])
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=serve(app)), connect())
    result = await engine.generate(requested(n=2))
    assert len(result.images) == 1
    assert "1 of 2 calls failed: automatic1111 answered 500: OutOfMemoryError: CUDA out of memory" in result.warnings


@pytest.mark.parametrize(
    ("info", "seed"),
    [
        (json.dumps({"seed": 4, "all_seeds": [4]}), 4),
        (json.dumps({"seed": 4}), 4),
        ({"seed": 4}, 4),
        (json.dumps({"seed": -1, "all_seeds": ["x"]}), None),
        (json.dumps({"all_seeds": [], "index_of_first_image": 12}), None),
        ("", None),
        ("{not json", None),
        ("[1]", None),
        (None, None),
    ],
)
async def test_the_seed_is_read_from_info_in_every_form(
    serve: Serve, connect: Connect, info: Any, seed: int | None
) -> None:
    """`info` may be a JSON string, an object, empty, garbage or missing."""
    url = serve(answering({"images": [encoded()], "info": info}))
    result = await Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=url), connect()).generate(requested())
    assert result.images[0].seed == seed


async def test_without_info_the_seed_is_read_from_the_image(make: MakeEngine, serve: Serve, connect: Connect) -> None:
    """A1111 and its likes write the seed into the PNG's `parameters` text."""
    made = (await make().generate(requested("fox, Seed: 99", seed=12))).images[0]
    url = serve(answering({"images": [base64.b64encode(made.data).decode()], "info": ""}))
    result = await Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=url), connect()).generate(requested())
    assert result.images[0].seed == 12


async def test_the_params_pass_through_as_they_are(make: MakeEngine, state: SandboxState) -> None:
    """A1111's own fields reach it untouched, those without a value not at all."""
    params = {"sampler_name": "Euler a", "cfg_scale": 6.5, "script_args": [None, 1], "eta": None}
    await make(AUTOMATIC1111_PARAMS=params).generate(requested())
    sent = state.record[0].json
    assert (sent["sampler_name"], sent["cfg_scale"], sent["script_args"]) == ("Euler a", 6.5, [None, 1])
    assert "eta" not in sent


async def test_params_are_the_last_word_and_a_warning_says_so(make: MakeEngine) -> None:
    """Steps, seed and size of the caller's yield to the operator's."""
    params = {"steps": 9, "seed": 3, "width": 128}
    result = await make(AUTOMATIC1111_PARAMS=params).generate(requested(steps=2, seed=1, size=SMALL))
    assert sniff(result.images[0].data).width == 128
    assert sorted(result.warnings) == [
        "seed was set to 3 by the operator's parameters",
        "size was set to '128x48' by the operator's parameters",
        "steps was set to 9 by the operator's parameters",
    ]


@pytest.mark.parametrize(("params", "count"), [({"batch_size": 2}, 2), ({"n_iter": 2, "batch_size": 2}, 4)])
async def test_params_decide_the_number_of_images(make: MakeEngine, params: dict[str, int], count: int) -> None:
    """`batch_size` and `n_iter` of the operator's together are `n`, and never multiply the caller's."""
    result = await make(AUTOMATIC1111_PARAMS=params).generate(requested(n=3))
    assert len(result.images) == count
    assert result.warnings == [f"n was set to {count} by the operator's parameters"]


async def test_params_that_agree_with_the_caller_warn_of_nothing(make: MakeEngine) -> None:
    """Two images asked for and a batch of two configured: nothing was overruled."""
    result = await make(AUTOMATIC1111_PARAMS={"batch_size": 2}).generate(requested(n=2))
    assert (len(result.images), result.warnings) == (2, [])


async def test_a_count_that_is_no_number_gets_the_servers_words(make: MakeEngine) -> None:
    """A1111's 422 names the field."""
    with pytest.raises(EngineRejected, match=r"answered 422: body\.n_iter: value is not a valid integer"):
        await make(AUTOMATIC1111_PARAMS={"n_iter": "two"}).generate(requested())


async def test_override_settings_are_merged_with_the_model(make: MakeEngine, state: SandboxState) -> None:
    """The operator's other settings stand beside the request's model, for this request only."""
    params = {"override_settings": {"CLIP_stop_at_last_layers": 2, "sd_vae": None}}
    await make(AUTOMATIC1111_PARAMS=params).generate(requested(model="sandbox-sketcher"))
    sent = state.record[0].json
    assert sent["override_settings"] == {"sd_model_checkpoint": "sandbox-sketcher", "CLIP_stop_at_last_layers": 2}
    assert sent["override_settings_restore_afterwards"] is True


async def test_the_operators_checkpoint_overrules_the_callers(make: MakeEngine) -> None:
    """A checkpoint in the params' `override_settings` is the last word on the model."""
    params = {"override_settings": {"sd_model_checkpoint": "sandbox-painter"}}
    result = await make(AUTOMATIC1111_PARAMS=params).generate(requested(model="sandbox-sketcher"))
    assert result.warnings == ["model was set to 'sandbox-painter' by the operator's parameters"]


async def test_override_settings_that_are_no_object_are_passed_on(serve: Serve, connect: Connect) -> None:
    """What the operator writes is the server's to judge."""
    config = ImagesConfig(
        AUTOMATIC1111_BASE_URL=serve(answering({"images": [encoded()]})),
        AUTOMATIC1111_PARAMS={"override_settings": "none"},
    )
    result = await Automatic1111Engine(config, connect()).generate(requested())
    assert result.warnings == []


async def test_a_dropped_checkpoint_is_noticed(make: MakeEngine) -> None:
    """A1111 ignores a checkpoint it does not know; the caller is told what painted instead."""
    result = await make().generate(requested(model="no-such-model"))
    assert result.warnings == ["model no-such-model is not known to automatic1111, which used sandbox-painter"]


async def test_a_dropped_checkpoint_is_told_once_for_several_calls(serve: Serve, connect: Connect) -> None:
    """Calls for the rest repeat no warning."""
    body = {"images": [encoded()], "info": json.dumps({"sd_model_name": "other"})}
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=serve(answering(body))), connect())
    result = await engine.generate(requested(n=2, model="mine"))
    assert result.warnings == ["model mine is not known to automatic1111, which used other"]


@pytest.mark.parametrize(
    ("wanted", "info"),
    [
        ("tiny-random-sd1", {"sd_model_name": "tiny-random-sd1.safetensors"}),
        ("Tiny-Random-SD1.safetensors", {"sd_model_name": "tiny-random-sd1"}),
        ("v1-5-pruned.ckpt [81761151ff]", {"sd_model_name": "v1-5-pruned"}),
        ("sdxl\\base.v2.safetensors", {"sd_model_name": "base.v2"}),
        ("sdxl_base", {"sd_model_name": "base"}),
        ("v1-5", {"sd_model_name": "v1-5-pruned-emaonly"}),
        ("81761151ff", {"sd_model_name": "v1-5-pruned", "sd_model_hash": "81761151FF"}),
        ("anything", {"sd_model_name": None}),
        ("anything", {}),
    ],
)
async def test_a_checkpoint_by_any_of_its_names_is_no_dropped_one(
    serve: Serve, connect: Connect, wanted: str, info: dict[str, Any]
) -> None:
    """Titles, file names, folders, hashes and parts of titles all find a checkpoint."""
    url = serve(answering({"images": [encoded()], "info": json.dumps(info)}))
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=url), connect())
    assert (await engine.generate(requested(model=wanted))).warnings == []


async def test_the_request_leaves_the_servers_options_alone(make: MakeEngine, state: SandboxState) -> None:
    """Another model for one request is nobody else's model: `/options` is never posted."""
    await make().generate(requested(model="sandbox-sketcher"))
    assert [(entry.method, entry.path) for entry in state.record] == [("POST", "/sdapi/v1/txt2img")]


async def test_what_a1111_has_no_word_for_is_warned_of(make: MakeEngine) -> None:
    """Quality, background, style and what only OpenAI has are ignored, and said to be; formats are not its business."""
    result = await make().generate(
        requested(
            quality="high", background="opaque", output_format="webp", style="vivid", moderation="low", user="you"
        )
    )
    named = [warning.split()[0] for warning in result.warnings]
    assert named == ["quality", "background", "style", "moderation", "user"]


@pytest.mark.parametrize("auth", ["fox:den:1", {"username": "fox", "password": "den:1"}])
async def test_basic_auth_is_taken_in_both_forms(make: MakeEngine, state: SandboxState, auth: Any) -> None:
    """`user:password` and an object are the same; a password may hold a colon."""
    state.knobs.key = "fox:den:1"
    result = await make(AUTOMATIC1111_API_AUTH=auth).generate(requested())
    assert len(result.images) == 1


@pytest.mark.parametrize("auth", [None, "fox:wrong"])
async def test_refused_credentials_are_told_without_them(make: MakeEngine, state: SandboxState, auth: Any) -> None:
    """A 401 becomes the server's words and a hint, and the password stays out."""
    state.knobs.key = "fox:den"
    engine = make(AUTOMATIC1111_API_AUTH=auth)
    for call in (engine.generate(requested()), engine.verify(), engine.models()):
        with pytest.raises(EngineRejected, match="Incorrect username or password") as caught:
            await call
        assert "wrong" not in caught.value.detail


async def test_models_are_the_servers_checkpoints(make: MakeEngine) -> None:
    """The id is the title, by which the server finds the checkpoint again."""
    engine = make()
    found = await engine.models()
    assert [model.name for model in found] == ["sandbox-painter", "sandbox-sketcher"]
    assert (await engine.generate(requested(model=found[1].id))).warnings == []


async def test_verify_needs_no_options_route(serve: Serve, connect: Connect) -> None:
    """Some compatible servers lack `/options`."""
    app = Starlette(routes=[Route("/sdapi/v1/sd-models", lambda _request: JSONResponse([{"model_name": "m"}]))])
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=serve(app)), connect())
    await engine.verify()
    assert [model.id for model in await engine.models()] == ["m"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"detail": "Not Found"}, 404, "answered 404: Not Found .check the engine's URL in the configuration"),
        ({"object": "list", "data": []}, 200, "not a list of checkpoints; is it an AUTOMATIC1111 API"),
        (["sd15"], 200, "not a list of checkpoints"),
    ],
)
async def test_another_kind_of_server_is_told_clearly(
    serve: Serve, connect: Connect, body: Any, status: int, words: str
) -> None:
    """Verify says what is wrong with the URL."""
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=serve(answering(body, status))), connect())
    with pytest.raises(GatewayError, match=words):
        await engine.verify()


async def test_a_web_page_is_no_engine(serve: Serve, connect: Connect) -> None:
    """A page that answers every path with 200 is told by its words."""

    async def page(_request: Any) -> HTMLResponse:
        return HTMLResponse("<html><title>Gradio</title><p>Sign in</p></html>")

    app = Starlette(routes=[Route("/{path:path}", page)])
    engine = Automatic1111Engine(ImagesConfig(AUTOMATIC1111_BASE_URL=serve(app)), connect())
    with pytest.raises(EngineUnavailable, match="not JSON: Gradio Sign in"):
        await engine.verify()


async def test_a_missing_url_names_its_field(connect: Connect) -> None:
    """Nothing is asked of anybody."""
    with pytest.raises(NotConfigured) as caught:
        create_engine("automatic1111", ImagesConfig(), connect())
    assert caught.value.field == "AUTOMATIC1111_BASE_URL"


async def test_an_edit_sends_the_input_in_its_own_size(make: MakeEngine, state: SandboxState) -> None:
    """img2img gets the image as base64 and, where none is asked for, its size."""
    source = input_image(80, 40)
    result = await make().edit(requested(size=None, images=(source,)))
    sent = state.record[0]
    assert sent.path == "/sdapi/v1/img2img"
    assert base64.b64decode(sent.json["init_images"][0]) == source.data
    assert (sniff(result.images[0].data).width, sniff(result.images[0].data).height) == (80, 40)


async def test_an_edit_takes_the_size_asked_for_and_the_params(make: MakeEngine, state: SandboxState) -> None:
    """The request's size wins over the input's; `denoising_strength` comes from the params."""
    engine = make(AUTOMATIC1111_PARAMS={"denoising_strength": 0.4})
    result = await engine.edit(requested(size=Size(128, 64), images=(input_image(),)))
    assert sniff(result.images[0].data).width == 128
    assert state.record[0].json["denoising_strength"] == 0.4


async def test_a_mask_is_turned_white_where_it_was_transparent(make: MakeEngine, state: SandboxState) -> None:
    """A1111 edits what is white; the gateway's masks say it by alpha 0."""
    mask = Image.new("RGBA", (64, 48), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 48))
    out = io.BytesIO()
    mask.save(out, "PNG")
    await make().edit(requested(images=(input_image(),), mask=InputImage(out.getvalue(), "image/png", 64, 48)))
    sent = Image.open(io.BytesIO(base64.b64decode(state.record[0].json["mask"])))
    assert sent.mode == "L"
    assert (sent.getpixel((5, 5)), sent.getpixel((60, 5))) == (255, 0)


async def test_further_inputs_are_warned_of(make: MakeEngine, state: SandboxState) -> None:
    """img2img has one ground to paint on."""
    result = await make().edit(requested(images=(input_image(), input_image(), input_image())))
    assert len(state.record[0].json["init_images"]) == 1
    assert result.warnings == ["automatic1111 edits one image at a time: only the first of 3 was used"]


async def test_an_edit_without_input_is_never_sent(make: MakeEngine, state: SandboxState) -> None:
    """Some servers answer that with a 200 and an unrelated image."""
    with pytest.raises(InvalidImage, match="needs an image to edit"):
        await make().edit(requested())
    assert state.record == []


async def test_a_bad_input_gets_the_servers_words(make: MakeEngine) -> None:
    """A1111 answers 500 for what it cannot decode."""
    with pytest.raises(EngineUnavailable, match="500: Invalid encoded image"):
        await make().edit(requested(images=(InputImage(b"no image", "image/png", 8, 8),)))


async def test_an_unknown_sampler_gets_the_servers_words(make: MakeEngine) -> None:
    """A1111 answers 400, with the same words in three fields."""
    with pytest.raises(EngineRejected) as caught:
        await make(AUTOMATIC1111_PARAMS={"sampler_name": "Nope"}).generate(requested())
    assert caught.value.detail == "automatic1111 answered 400: HTTPException: 400: Sampler not found"


async def test_too_large_a_batch_gets_the_servers_words(make: MakeEngine) -> None:
    """A graphics card without memory is a 500 that names its exception."""
    with pytest.raises(EngineUnavailable, match="500: OutOfMemoryError"):
        await make(AUTOMATIC1111_PARAMS={"batch_size": 9}).generate(requested())


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(429, {"error": "slow down"}, {"Retry-After": "60"}), EngineRateLimited, "429: slow down"),
        (Fault(500, "<html><body><h1>Internal Server Error</h1></body></html>"), EngineUnavailable, "Internal Server"),
        (Fault(200, "{oops"), EngineUnavailable, "200 with something that is not JSON: {oops"),
        (Fault(200, {"images": []}), EngineUnavailable, "without images: no explanation"),
        (Fault(200, {"error": "HTTPException", "detail": "No model"}), EngineUnavailable, "HTTPException: No model"),
        (Fault(200, ["nothing"]), EngineUnavailable, "without images: nothing"),
        (Fault(200, {"images": ["iVBORw0KGgoAAAANSUhEU"]}), EngineUnavailable, "not valid base64"),
        (Fault(200, {"images": [None]}), EngineUnavailable, "not valid base64"),
        (Fault(400, {"error": "prompt required"}), EngineRejected, "400: prompt required"),
        (Fault(500, {"error": "server_error", "message": "parse error"}), EngineUnavailable, "server_error: parse err"),
        (Fault(503, {"detail": "loading"}, {"Retry-After": "9"}), EngineUnavailable, "503: loading"),
        (Fault(504, "gateway timeout"), EngineTimeout, "504: gateway timeout"),
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


async def test_the_wait_asked_for_is_handed_on(make: MakeEngine, state: SandboxState) -> None:
    """A 429's `Retry-After` reaches the caller in seconds."""
    state.knobs.faults = [Fault(429, {"detail": "busy"}, {"Retry-After": "60"})]
    with pytest.raises(EngineRateLimited) as caught:
        await make().generate(requested())
    assert caught.value.retry_after == 60


async def test_what_is_no_image_is_handed_on_for_the_store_to_judge(make: MakeEngine, state: SandboxState) -> None:
    """The engine decodes; what the bytes are is told by the bytes, in one place."""
    state.knobs.faults = [Fault(200, {"images": [base64.b64encode(b"hello").decode()]})]
    assert (await make().generate(requested())).images[0].data == b"hello"


async def test_a_slow_server_is_a_timeout_that_may_have_cost(
    make: MakeEngine, state: SandboxState, loop_time: LoopTime
) -> None:
    """The time is the operation's, and what was sent may still be painted."""
    state.knobs.latency = LONG
    generating = asyncio.create_task(make(timeout=20).generate(requested()))
    await until(lambda: any(one.path.endswith("/txt2img") for one in state.record))
    loop_time.advance(20)

    with pytest.raises(EngineTimeout, match="within 20 s") as caught:
        await generating
    assert caught.value.may_have_cost


async def test_an_unreachable_server_is_named(connect: Connect) -> None:
    """Nobody listens on port 9. It is named by its field, not by its address."""
    config = ImagesConfig(AUTOMATIC1111_BASE_URL="http://127.0.0.1:9")
    engine = create_engine("automatic1111", config, connect(), edit=True)
    with pytest.raises(EngineUnavailable, match=r"refused\): check AUTOMATIC1111_BASE_URL$"):
        await engine.verify()


async def test_the_sandbox_answers_the_other_routes_of_the_api(serve: Serve, connect: Connect) -> None:
    """Options, samplers, interrupt and progress answer in A1111's shapes; another route is FastAPI's 404."""
    client, base = connect().client, serve(create_app(SandboxState())) + "/sdapi/v1"
    await client.post(f"{base}/options", json={"sd_model_checkpoint": "sandbox-sketcher"})
    assert (await client.get(f"{base}/options")).json()["sd_model_checkpoint"] == "sandbox-sketcher"
    assert (await client.get(f"{base}/samplers")).json()[0]["name"] == "DPM++ 2M"
    assert (await client.post(f"{base}/interrupt")).json() == {}
    assert (await client.get(f"{base}/progress")).json()["progress"] == 0.0
    nowhere = await client.get(f"{base}/nowhere")
    assert (nowhere.status_code, nowhere.json()) == (404, {"detail": "Not Found"})


async def test_the_sandbox_refuses_as_a1111_does(serve: Serve, connect: Connect) -> None:
    """An edit without an image is a 404 in A1111's own shape, a body that is no JSON FastAPI's 422."""
    client, base = connect().client, serve(create_app(SandboxState())) + "/sdapi/v1"
    without = await client.post(f"{base}/img2img", json={"prompt": "a fox"})
    assert (without.status_code, without.json()["detail"]) == (404, "Init image not found")
    broken = await client.post(f"{base}/txt2img", content=b'{"prompt": ')
    assert (broken.status_code, broken.json()["detail"][0]["loc"]) == (422, ["body"])


async def test_the_sandbox_keeps_a_checkpoint_that_is_not_to_be_restored(serve: Serve, connect: Connect) -> None:
    """Without `override_settings_restore_afterwards` a request changes the model for everybody, as in A1111."""
    client, base = connect().client, serve(create_app(SandboxState())) + "/sdapi/v1"
    body = {
        "prompt": "a fox",
        "width": 64,
        "height": 64,
        "override_settings": {"sd_model_checkpoint": "sandbox-sketcher"},
    }
    for restore, loaded in ((True, "sandbox-painter"), (False, "sandbox-sketcher")):
        await client.post(f"{base}/txt2img", json={**body, "override_settings_restore_afterwards": restore})
        assert (await client.get(f"{base}/options")).json()["sd_model_checkpoint"].startswith(loaded)
