"""The automatic1111 engine: generations."""

import base64
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from image_gateway.engines.protocol import ImageRequest
from image_gateway.images.sniff import sniff
from sandbox.engines.painter import paint
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.automatic1111.requests_and_responses import (
    SMALL,
    Connect,
    MakeEngine,
    Serve,
    engine_for,
    image_base64,
    image_request,
    server_returning,
)

pytestmark = pytest.mark.anyio


async def test_a_generated_image_has_the_requested_size(make_engine: MakeEngine) -> None:
    """txt2img gets width and height, and the image has them."""
    result = await make_engine().generate(image_request())
    kind = sniff(result.images[0].data)
    assert (kind.width, kind.height, result.warnings) == (64, 48, [])


async def test_a_generation_sends_the_requested_fields_without_nulls(
    make_engine: MakeEngine, state: SandboxState
) -> None:
    """Every field that A1111 supports is sent under A1111's name."""
    await make_engine().generate(image_request(steps=3, seed=7, negative_prompt="blur", n=2, model="sandbox-sketcher"))
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


async def test_fields_that_are_not_set_are_not_sent(make_engine: MakeEngine, state: SandboxState) -> None:
    """Without steps, size and model the server's defaults apply; the seed is random."""
    await make_engine().generate(ImageRequest(job_id="job-1", prompt="a fox"))
    assert state.record[0].json == {"prompt": "a fox", "batch_size": 1, "n_iter": 1, "seed": -1}


async def test_the_grid_before_several_images_is_dropped(make_engine: MakeEngine, state: SandboxState) -> None:
    """`index_of_first_image` says that a grid comes first."""
    result = await make_engine().generate(image_request(n=3, seed=5))
    assert [sniff(image.data).width for image in result.images] == [64, 64, 64]
    assert [image.seed for image in result.images] == [5, 6, 7]
    assert len(state.record) == 1


async def test_a_grid_is_dropped_without_info(serve: Serve, connect: Connect) -> None:
    """If the server returns one image more than requested and `info` is empty, the first is the grid."""
    images = [base64.b64encode(paint("grid", 32, 16)).decode(), image_base64(1), image_base64(2)]
    url = serve(server_returning({"images": images, "info": ""}))
    engine = engine_for(url, connect)
    result = await engine.generate(image_request(n=2))
    assert [sniff(image.data).width for image in result.images] == [SMALL.width] * 2


async def test_images_beyond_the_requested_number_are_dropped(serve: Serve, connect: Connect) -> None:
    """Extensions append images of their own, such as detection maps."""
    body = {
        "images": [image_base64(1), image_base64(2)],
        "info": json.dumps({"index_of_first_image": 0, "all_seeds": [9]}),
    }
    engine = engine_for(serve(server_returning(body)), connect)
    result = await engine.generate(image_request())
    assert [image.seed for image in result.images] == [9]


async def test_missing_images_are_requested_one_by_one(serve: Serve, connect: Connect) -> None:
    """Servers without `n_iter` return one image; the others are requested one by one, each with its own seed."""
    seen: list[dict[str, Any]] = []

    async def answer(request: Any) -> JSONResponse:
        body = await request.json()
        seen.append(body)
        return JSONResponse({"images": ["data:image/png;base64," + image_base64(body["seed"])], "info": ""})

    app = Starlette(routes=[Route("/sdapi/v1/txt2img", answer, methods=["POST"])])
    engine = engine_for(serve(app), connect)
    result = await engine.generate(image_request(n=3, seed=7))
    assert [image.data for image in result.images] == [
        paint("p", SMALL.width, SMALL.height, seed=seed) for seed in (7, 8, 9)
    ]
    assert sorted((body["seed"], body["n_iter"], body["batch_size"]) for body in seen) == [
        (7, 3, 1),
        (8, 1, 1),
        (9, 1, 1),
    ]


async def test_a_failed_further_call_is_a_warning(serve: Serve, connect: Connect) -> None:
    """One image of two is a result; the server's error text for the other is a warning."""

    async def answer(request: Any) -> JSONResponse:
        if (await request.json())["n_iter"] == 1:
            return JSONResponse({"error": "OutOfMemoryError", "errors": "CUDA out of memory"}, 500)
        return JSONResponse({"images": [image_base64()]})

    app = Starlette(routes=[Route("/sdapi/v1/txt2img", answer, methods=["POST"])])
    engine = engine_for(serve(app), connect)
    result = await engine.generate(image_request(n=2))
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
    """`info` may be a JSON string, an object, empty, invalid or missing."""
    url = serve(server_returning({"images": [image_base64()], "info": info}))
    result = await engine_for(url, connect).generate(image_request())
    assert result.images[0].seed == seed


async def test_without_info_the_seed_is_read_from_the_image(
    make_engine: MakeEngine, serve: Serve, connect: Connect
) -> None:
    """A1111 and compatible servers write the seed into the PNG's `parameters` text."""
    made = (await make_engine().generate(image_request("fox, Seed: 99", seed=12))).images[0]
    url = serve(server_returning({"images": [base64.b64encode(made.data).decode()], "info": ""}))
    result = await engine_for(url, connect).generate(image_request())
    assert result.images[0].seed == 12


async def test_unsupported_parameters_are_ignored_with_a_warning(make_engine: MakeEngine) -> None:
    """Quality, background, style and OpenAI's own fields have a warning; the gateway itself applies `output_format`."""
    result = await make_engine().generate(
        image_request(
            quality="high", background="opaque", output_format="webp", style="vivid", moderation="low", user="you"
        )
    )
    named = [warning.split()[0] for warning in result.warnings]
    assert named == ["quality", "background", "style", "moderation", "user"]


async def test_the_engine_does_not_check_the_decoded_bytes(make_engine: MakeEngine, state: SandboxState) -> None:
    """The engine only decodes; the image store detects the type from the content."""
    state.knobs.faults = [Fault(200, {"images": [base64.b64encode(b"hello").decode()]})]
    assert (await make_engine().generate(image_request())).images[0].data == b"hello"
