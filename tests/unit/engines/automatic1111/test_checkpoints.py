"""The automatic1111 engine: checkpoints, the list of models, and verification."""

import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from image_gateway.errors import (
    EngineUnavailable,
    GatewayError,
)
from sandbox.engines.state import SandboxState
from tests.unit.engines.automatic1111.requests_and_responses import (
    Connect,
    MakeEngine,
    Serve,
    engine_for,
    image_base64,
    image_request,
    server_returning,
)

pytestmark = pytest.mark.anyio


async def test_an_unknown_checkpoint_is_a_warning(make_engine: MakeEngine) -> None:
    """A1111 ignores an unknown checkpoint; the warning names the one that it used."""
    result = await make_engine().generate(image_request(model="no-such-model"))
    assert result.warnings == ["model no-such-model is not known to automatic1111, which used sandbox-painter"]


async def test_an_unknown_checkpoint_gives_one_warning_for_several_calls(serve: Serve, connect: Connect) -> None:
    """Further calls do not repeat the warning."""
    body = {"images": [image_base64()], "info": json.dumps({"sd_model_name": "other"})}
    engine = engine_for(serve(server_returning(body)), connect)
    result = await engine.generate(image_request(n=2, model="mine"))
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
async def test_any_name_of_the_used_checkpoint_gives_no_warning(
    serve: Serve, connect: Connect, wanted: str, info: dict[str, Any]
) -> None:
    """The server finds checkpoints by titles, file names, folders, hashes and parts of titles."""
    url = serve(server_returning({"images": [image_base64()], "info": json.dumps(info)}))
    engine = engine_for(url, connect)
    assert (await engine.generate(image_request(model=wanted))).warnings == []


async def test_a_request_does_not_change_the_servers_options(make_engine: MakeEngine, state: SandboxState) -> None:
    """The model is set for one request only: `/options` is never posted."""
    await make_engine().generate(image_request(model="sandbox-sketcher"))
    assert [(entry.method, entry.path) for entry in state.record] == [("POST", "/sdapi/v1/txt2img")]


async def test_models_are_the_servers_checkpoints(make_engine: MakeEngine) -> None:
    """A model's id is the title, by which the server finds the checkpoint."""
    engine = make_engine()
    found = await engine.models()
    assert [model.name for model in found] == ["sandbox-painter", "sandbox-sketcher"]
    assert (await engine.generate(image_request(model=found[1].id))).warnings == []


async def test_verification_needs_no_options_route(serve: Serve, connect: Connect) -> None:
    """Some compatible servers lack `/options`."""
    app = Starlette(routes=[Route("/sdapi/v1/sd-models", lambda _request: JSONResponse([{"model_name": "m"}]))])
    engine = engine_for(serve(app), connect)
    await engine.verify()
    assert [model.id for model in await engine.models()] == ["m"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"detail": "Not Found"}, 404, "answered 404: Not Found .check the engine's URL in the configuration"),
        ({"object": "list", "data": []}, 200, "not a list of checkpoints; is it an AUTOMATIC1111 API"),
        (["sd15"], 200, "not a list of checkpoints"),
    ],
)
async def test_verification_detects_another_kind_of_server(
    serve: Serve, connect: Connect, body: Any, status: int, text: str
) -> None:
    """The error says what is wrong with the URL."""
    engine = engine_for(serve(server_returning(body, status)), connect)
    with pytest.raises(GatewayError, match=text):
        await engine.verify()


async def test_verification_detects_a_web_page(serve: Serve, connect: Connect) -> None:
    """The error for a page that responds to every path with a 200 has the page's text."""

    async def page(_request: Any) -> HTMLResponse:
        return HTMLResponse("<html><title>Gradio</title><p>Sign in</p></html>")

    app = Starlette(routes=[Route("/{path:path}", page)])
    engine = engine_for(serve(app), connect)
    with pytest.raises(EngineUnavailable, match="not JSON: Gradio Sign in"):
        await engine.verify()
