"""Recorded refusals, uploads and downloads of ComfyUI 0.3.64, replayed to the engine."""

import json

import pytest

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.comfyui.server import PathNotFound, node_problems
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import EngineError, EngineRejected, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from sandbox.engines.painter import paint
from tests.unit.engines.comfyui.captures import Recorded, capture, engine, server
from tests.unit.engines.comfyui.requests_and_workflows import Connect, Serve

pytestmark = pytest.mark.anyio

REFUSALS = {name: case for name, case in capture("prompt_errors").items() if case["response"]["status"] != 200}
ACCEPTED = {name: case for name, case in capture("prompt_errors").items() if name not in REFUSALS}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_recorded_refusal_has_the_servers_error_text_and_nodes(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """This holds for every recorded refusal of a workflow."""
    response = REFUSALS[name]["response"]
    recorded.add("POST /prompt", response)
    comfyui = server(serve(recorded.app()), connect())

    with pytest.raises(EngineError) as caught:
        await comfyui.json("POST", "/prompt", json={})

    if response["status"] == 500:
        assert isinstance(caught.value, EngineUnavailable)
        assert "Server got itself in trouble" in caught.value.detail
        return
    assert isinstance(caught.value, EngineRejected)
    assert response["json"]["error"]["message"] in caught.value.detail
    assert "COMFYUI_WORKFLOW" in caught.value.detail
    for node_id, node in response["json"]["node_errors"].items():
        assert f"node {node_id} ({node['class_type']}): {node['errors'][0]['message']}" in caught.value.detail


@pytest.mark.parametrize("name", ACCEPTED)
async def test_problems_of_an_accepted_workflow_are_read(name: str) -> None:
    """Some of its nodes may not be run."""
    problems = node_problems(ACCEPTED[name]["response"]["json"].get("node_errors"))

    partial = name.startswith("PARTIAL: one good")
    expected = "node 30 (LoadImage): Custom validation failed for node: image - Invalid image file: does-not-exist.png"
    assert problems == ([expected] if partial else [])


async def test_an_invalid_output_is_a_warning_if_others_are_valid(
    recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """The valid output's image is returned, with the problem of the other."""
    post, history = ACCEPTED["PARTIAL: one good output, one bad"], ACCEPTED["PARTIAL history"]
    recorded.run({"post": post, "history_polls": ["{}"], "history": history})
    comfyui_engine = engine(serve(recorded.app()), connect(), post["request"]["json"]["prompt"])

    result = await comfyui_engine.generate(ImageRequest(job_id="a-job", prompt="x"))

    assert [image.data for image in result.images] == [b"output::partial_00001_.png"]
    assert "node 30 (LoadImage): Custom validation failed" in result.warnings[0]


UPLOADS = capture("upload_variants")


@pytest.mark.parametrize("name", UPLOADS)
async def test_the_name_from_an_upload_response_is_used(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """The name and folder from the response go into the workflow; a refusal is an error."""
    response = UPLOADS[name]["response"]
    run = capture("run_edit")
    recorded.run(run)
    recorded.add("POST /upload/image", response)
    config = ImagesConfig.model_validate(
        {
            "IMAGES_EDIT_COMFYUI_BASE_URL": serve(recorded.app()),
            "IMAGES_EDIT_COMFYUI_WORKFLOW": json.dumps(run["post"]["request"]["json"]["prompt"]),
            "IMAGES_EDIT_COMFYUI_WORKFLOW_NODES": [{"type": "image", "node_ids": ["10"]}],
        }
    )
    image = InputImage(paint("input", 8, 8), "image/png", 8, 8)
    requested = ImageRequest(job_id="a-job", prompt="x", images=(image,))

    if response["status"] != 200:
        with pytest.raises(EngineError, match=f"comfyui answered {response['status']}"):
            await ComfyUIEngine(config, connect(), edit=True).edit(requested)
        return
    await ComfyUIEngine(config, connect(), edit=True).edit(requested)

    kept = response["json"]
    expected = f"{kept['subfolder']}/{kept['name']}" if kept["subfolder"] else kept["name"]
    assert recorded.bodies[0]["prompt"]["10"]["inputs"]["image"] == expected


VIEWS = {"missing": capture("view_missing_file"), **capture("view_variants")}


@pytest.mark.parametrize("name", VIEWS)
async def test_a_file_that_cannot_be_downloaded_is_an_error(
    name: str, recorded: Recorded, serve: Serve, connect: Connect
) -> None:
    """A 404 is distinguished from other refusals; a success returns the recorded content."""
    response = VIEWS[name]["response"]
    recorded.add("GET /view", response)
    comfyui = server(serve(recorded.app()), connect())

    if response["status"] == 200:
        assert (await comfyui.send("GET", "/view", params={})).content.decode() == response["body"]
        return
    with pytest.raises(EngineRejected) as caught:
        await comfyui.send("GET", "/view", params={})
    assert isinstance(caught.value, PathNotFound) == (response["status"] == 404)
