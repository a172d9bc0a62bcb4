"""The comfyui engine: the list of models, verification, keys and configuration."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from image_gateway.engines import create_engine
from image_gateway.errors import (
    EngineRejected,
    EngineUnavailable,
    NotConfigured,
)
from image_gateway.models.config import ImagesConfig
from sandbox.engines.comfyui_nodes import CHECKPOINTS, DIFFUSION_MODELS
from sandbox.engines.comfyui_workflows import CHECKPOINT, FLUX, Sample
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import Connect, MakeEngine, Serve, workflow_without_sampling

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("sample", "models"),
    [(CHECKPOINT, CHECKPOINTS), (FLUX, DIFFUSION_MODELS), (workflow_without_sampling(), [])],
)
async def test_models_are_the_choices_of_the_model_node(
    sample: Sample, models: list[str], make_engine: MakeEngine
) -> None:
    """If the map names none, no model could be chosen."""
    assert [model.id for model in await make_engine(sample).models()] == models


async def test_models_need_no_workflow(make_engine: MakeEngine) -> None:
    """Without a workflow, the checkpoints are listed."""
    found = await make_engine(COMFYUI_WORKFLOW="", COMFYUI_WORKFLOW_NODES=[]).models()

    assert [model.name for model in found] == CHECKPOINTS


async def test_an_unknown_type_of_the_model_node_is_named(make_engine: MakeEngine) -> None:
    """The server returns an empty object for an unknown node type."""
    sample = workflow_without_sampling(**{"5": {"class_type": "GGUF/Loader", "inputs": {"name": ""}}})
    nodes = [{"type": "model", "key": "name", "node_ids": ["5"]}]

    with pytest.raises(EngineRejected, match="does not know the node type GGUF/Loader"):
        await make_engine(Sample(sample.workflow, nodes)).models()


@pytest.mark.parametrize(
    ("declared", "models"),
    [
        ({"required": {"ckpt_name": ["COMBO", {"options": ["a", "b"]}]}}, ["a", "b"]),
        ({"optional": {"ckpt_name": [["a", 1, "b"], {}]}}, ["a", "b"]),
        ({"required": {"ckpt_name": ["STRING", {}]}}, []),
        ({"required": {"ckpt_name": []}}, []),
    ],
)
async def test_choices_are_read_in_every_form(
    declared: Any, models: list[str], make_engine: MakeEngine, state: SandboxState
) -> None:
    """Newer servers send `COMBO` with options; an input without choices has no models."""
    state.knobs.faults = [Fault(status=200, body={"CheckpointLoaderSimple": {"input": declared}})]

    assert [model.id for model in await make_engine().models()] == models


async def test_the_right_key_is_verified(make_engine: MakeEngine, state: SandboxState) -> None:
    """A server that accepts the key passes."""
    state.knobs.key = "comfy-key"

    await make_engine(COMFYUI_API_KEY="comfy-key").verify()


@pytest.mark.parametrize("method", ["verify", "models"])
async def test_a_wrong_key_is_rejected_without_repeating_it(
    method: str, make_engine: MakeEngine, state: SandboxState
) -> None:
    """A 401 says to check the key."""
    state.knobs.key = "comfy-key"

    with pytest.raises(EngineRejected, match="check the engine's key") as caught:
        await getattr(make_engine(COMFYUI_API_KEY="wrong-key"), method)()

    assert "wrong-key" not in caught.value.detail


@pytest.mark.parametrize("method", ["verify", "models"])
@pytest.mark.parametrize("answer", [JSONResponse({"data": []}), JSONResponse([]), HTMLResponse("<h1>Hi</h1>")])
async def test_another_kind_of_server_is_detected(
    method: str, answer: Any, serve: Serve, make_engine: MakeEngine
) -> None:
    """A server that answers every request with a 200 is not a ComfyUI server."""

    async def respond(_request: object) -> Any:
        return answer

    url = serve(Starlette(routes=[Route("/{path:path}", respond)]))

    with pytest.raises(EngineUnavailable):
        await getattr(make_engine(COMFYUI_BASE_URL=url), method)()


@pytest.mark.parametrize("method", ["verify", "models"])
async def test_a_wrong_url_is_rejected_with_a_hint(method: str, serve: Serve, make_engine: MakeEngine) -> None:
    """A 404 says to check the URL."""
    with pytest.raises(EngineRejected, match=r"404.*check the engine's URL"):
        await getattr(make_engine(COMFYUI_BASE_URL=serve(Starlette())), method)()


async def test_an_unset_url_names_its_field(connect: Connect) -> None:
    """No request is sent, neither for generations nor for edits."""
    for edit, field in ((False, "COMFYUI_BASE_URL"), (True, "IMAGES_EDIT_COMFYUI_BASE_URL")):
        with pytest.raises(NotConfigured) as caught:
            create_engine("comfyui", ImagesConfig(), connect(), edit=edit)
        assert caught.value.field == field
