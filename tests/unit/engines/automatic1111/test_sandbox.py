"""The sandbox's AUTOMATIC1111 server."""

import pytest

from sandbox.engines.automatic1111 import create_app
from sandbox.engines.state import SandboxState
from tests.unit.engines.automatic1111.requests_and_responses import Connect, Serve

pytestmark = pytest.mark.anyio


async def test_the_sandbox_has_the_other_routes_of_the_api(serve: Serve, connect: Connect) -> None:
    """Options, samplers, interrupt and progress have A1111's formats; an unknown route gives FastAPI's 404."""
    client, base = connect().client, serve(create_app(SandboxState())) + "/sdapi/v1"
    await client.post(f"{base}/options", json={"sd_model_checkpoint": "sandbox-sketcher"})
    assert (await client.get(f"{base}/options")).json()["sd_model_checkpoint"] == "sandbox-sketcher"
    assert (await client.get(f"{base}/samplers")).json()[0]["name"] == "DPM++ 2M"
    assert (await client.post(f"{base}/interrupt")).json() == {}
    assert (await client.get(f"{base}/progress")).json()["progress"] == 0.0
    nowhere = await client.get(f"{base}/nowhere")
    assert (nowhere.status_code, nowhere.json()) == (404, {"detail": "Not Found"})


async def test_the_sandbox_refuses_as_a1111_does(serve: Serve, connect: Connect) -> None:
    """An edit without an image is a 404 in A1111's format; a body that is not JSON gives FastAPI's 422."""
    client, base = connect().client, serve(create_app(SandboxState())) + "/sdapi/v1"
    without = await client.post(f"{base}/img2img", json={"prompt": "a fox"})
    assert (without.status_code, without.json()["detail"]) == (404, "Init image not found")
    broken = await client.post(f"{base}/txt2img", content=b'{"prompt": ')
    assert (broken.status_code, broken.json()["detail"][0]["loc"]) == (422, ["body"])


async def test_the_sandbox_keeps_a_checkpoint_unless_it_is_to_be_restored(serve: Serve, connect: Connect) -> None:
    """Without `override_settings_restore_afterwards` a request changes the model for all callers, as in A1111."""
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
