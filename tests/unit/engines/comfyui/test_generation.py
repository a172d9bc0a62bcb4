"""The comfyui engine: what a generation submits and returns."""

import copy

import pytest

from image_gateway.errors import (
    NotConfigured,
)
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.comfyui_workflows import CHECKPOINT, FLUX, Sample
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import (
    MakeEngine,
    image_request,
    image_size,
    submitted,
    workflow_without_sampling,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sample", [CHECKPOINT, FLUX])
async def test_a_sample_workflow_makes_an_image_of_the_requested_size(sample: Sample, make_engine: MakeEngine) -> None:
    """A checkpoint's workflow and Flux's both return an image and its seed."""
    result = await make_engine(sample).generate(image_request(size=Size(640, 384), seed=7))

    assert [image_size(image.data) for image in result.images] == [(640, 384)]
    assert [image.seed for image in result.images] == [7]
    assert result.warnings == []


async def test_a_run_has_the_id_of_its_job(make_engine: MakeEngine, state: SandboxState) -> None:
    """The body has no `extra_data`, which must not be null."""
    request = image_request()

    await make_engine().generate(request)

    (body,) = submitted(state)
    assert (body["prompt_id"], body["client_id"]) == (request.job_id, request.job_id)
    assert "extra_data" not in body


async def test_a_key_is_sent_as_bearer_and_to_partner_nodes(make_engine: MakeEngine, state: SandboxState) -> None:
    """The key is in the header of every request and in `extra_data` of the run."""
    state.knobs.key = "comfy-key"

    await make_engine(COMFYUI_API_KEY="comfy-key").generate(image_request())

    assert {request.headers["authorization"] for request in state.record} == {"Bearer comfy-key"}
    assert submitted(state)[0]["extra_data"] == {"api_key_comfy_org": "comfy-key"}


async def test_a_batch_is_one_run(make_engine: MakeEngine, state: SandboxState) -> None:
    """A workflow with a node of type `n` returns three images from one run."""
    result = await make_engine().generate(image_request(n=3))

    assert len({image.data for image in result.images}) == 3
    assert [body["prompt"]["5"]["inputs"]["batch_size"] for body in submitted(state)] == [3]


async def test_without_a_count_node_there_is_a_run_for_each_image(make_engine: MakeEngine, state: SandboxState) -> None:
    """Each run has its own seed and id; the first has the job's."""
    sample = Sample(CHECKPOINT.workflow, [node for node in CHECKPOINT.nodes if node["type"] != "n"])
    request = image_request(n=3, seed=5)

    result = await make_engine(sample).generate(request)

    assert [image.seed for image in result.images] == [5, 6, 7]
    ids = [body["prompt_id"] for body in submitted(state)]
    assert request.job_id in ids
    assert len(set(ids)) == 3


async def test_missing_images_of_a_batch_are_made_in_further_runs(make_engine: MakeEngine, state: SandboxState) -> None:
    """If the batch size has no effect, each missing image is made in a run of its own."""
    workflow = copy.deepcopy(CHECKPOINT.workflow)
    workflow["99"] = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
    nodes = [{**node, "node_ids": ["99"]} if node["type"] == "n" else node for node in CHECKPOINT.nodes]

    result = await make_engine(Sample(workflow, nodes)).generate(image_request(n=3))

    assert len({image.data for image in result.images}) == 3
    assert [body["prompt"]["99"]["inputs"]["batch_size"] for body in submitted(state)] == [3, 1, 1]


async def test_images_that_may_be_the_same_are_a_warning(make_engine: MakeEngine) -> None:
    """Without a node of type seed or n, the server returns the cached image again."""
    result = await make_engine(workflow_without_sampling()).generate(image_request(n=2))

    assert len({image.data for image in result.images}) == 1
    assert "images may be the same" in result.warnings[0]


async def test_a_workflow_in_the_editors_format_is_not_submitted(make_engine: MakeEngine, state: SandboxState) -> None:
    """The server would respond with a 500 without a reason."""
    config = ImagesConfig.model_construct(COMFYUI_BASE_URL="http://x", COMFYUI_WORKFLOW='{"nodes": []}')
    engine = make_engine()
    engine._config = config

    with pytest.raises(NotConfigured, match="editor's format"):
        await engine.generate(image_request())
    assert state.record == []


async def test_unsupported_parameters_are_ignored_with_a_warning(make_engine: MakeEngine) -> None:
    """Fields that no node takes and fields that ComfyUI does not support have one warning each."""
    result = await make_engine(FLUX).generate(image_request(negative_prompt="rain", quality="high"))

    assert result.warnings == [
        "negative_prompt was ignored: COMFYUI_WORKFLOW_NODES names no node of type negative_prompt",
        "quality is not supported by comfyui and was ignored",
    ]


async def test_jobs_without_a_seed_get_different_seeds(make_engine: MakeEngine) -> None:
    """Two jobs with the same prompt and no seed have different images."""
    engine = make_engine()

    first, second = await engine.generate(image_request()), await engine.generate(image_request())

    assert first.images[0].data != second.images[0].data


async def test_a_short_wait_requested_by_the_server_is_followed_by_a_retry(
    make_engine: MakeEngine, state: SandboxState
) -> None:
    """This applies to a 503 and to a 429."""
    state.knobs.faults = [
        Fault(503, "loading", path="/prompt"),
        Fault(429, "busy", {"retry-after": "1"}, path="/queue"),
    ]

    assert (await make_engine().generate(image_request())).images
