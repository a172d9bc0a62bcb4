"""`verify` of the comfyui engine: the configured workflow is compared with what the server has."""

import copy
from typing import Any

import pytest

from image_gateway.errors import EngineRejected
from sandbox.engines.comfyui_workflows import CHECKPOINT, EDIT, FLUX, Sample
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import MakeEngine

pytestmark = pytest.mark.anyio


def changed(sample: Sample, node_id: str, **inputs: Any) -> Sample:
    """Return a sample with other values of one node; None removes an input."""
    workflow = copy.deepcopy(sample.workflow)
    workflow[node_id]["inputs"].update(inputs)
    workflow[node_id]["inputs"] = {
        name: value for name, value in workflow[node_id]["inputs"].items() if value is not None
    }
    return Sample(workflow, sample.nodes)


@pytest.mark.parametrize("sample", [CHECKPOINT, FLUX, EDIT])
async def test_a_workflow_that_the_server_can_run_passes(sample: Sample, make_engine: MakeEngine) -> None:
    """The files of image nodes are not compared, because each edit uploads its own."""
    await make_engine(sample).verify()


async def test_a_missing_node_class_is_named(make_engine: MakeEngine) -> None:
    """The server lacks an extension that the workflow uses."""
    workflow = copy.deepcopy(CHECKPOINT.workflow)
    workflow["3"]["class_type"] = "KSampler (Efficient)"

    with pytest.raises(EngineRejected, match=r"node 3: the server has no class KSampler \(Efficient\)") as caught:
        await make_engine(Sample(workflow, CHECKPOINT.nodes)).verify()

    assert caught.value.field == "COMFYUI_WORKFLOW"


async def test_a_missing_model_file_is_named(make_engine: MakeEngine) -> None:
    """The server has no file of this name; the message lists some that it has."""
    sample = changed(CHECKPOINT, "4", ckpt_name="flux9.safetensors")

    with pytest.raises(EngineRejected, match=r"node 4 \(CheckpointLoaderSimple\): ckpt_name 'flux9.*dreamshaper_8"):
        await make_engine(sample).verify()


async def test_the_configured_model_replaces_that_of_the_workflow(make_engine: MakeEngine) -> None:
    """What is compared is what a request without a model would send."""
    sample = changed(CHECKPOINT, "4", ckpt_name="flux9.safetensors")

    fields = {"IMAGE_GENERATION_ENGINE": "comfyui"}
    await make_engine(sample, **fields, IMAGE_GENERATION_MODEL="sd_xl_base_1.0.safetensors").verify()
    with pytest.raises(EngineRejected, match=r"ckpt_name 'nothing'"):
        await make_engine(CHECKPOINT, **fields, IMAGE_GENERATION_MODEL="nothing").verify()


async def test_the_model_of_another_engine_is_not_compared(make_engine: MakeEngine) -> None:
    """An operator verifies ComfyUI before switching to it, while the configured model is one of OpenAI's."""
    await make_engine(CHECKPOINT, IMAGE_GENERATION_ENGINE="openai", IMAGE_GENERATION_MODEL="gpt-image-2").verify()


async def test_a_missing_required_input_is_named(make_engine: MakeEngine) -> None:
    """The workflow was exported from another version of the node."""
    with pytest.raises(EngineRejected, match=r"node 3 \(KSampler\): the server needs its input 'cfg'"):
        await make_engine(changed(CHECKPOINT, "3", cfg=None)).verify()


async def test_a_mapped_input_that_the_class_does_not_have_is_named(make_engine: MakeEngine) -> None:
    """ComfyUI would ignore it, and with it the prompt."""
    sample = changed(CHECKPOINT, "6", prompt_text="a fox")
    nodes = [{"type": "prompt", "key": "prompt_text", "node_ids": ["6"]}]

    with pytest.raises(
        EngineRejected, match=r"node 6 \(CLIPTextEncode\): the server's class has no input 'prompt_text'"
    ):
        await make_engine(Sample(sample.workflow, nodes)).verify()


@pytest.mark.parametrize(
    "declared",
    [
        {"required": {"ckpt_name": ["COMBO", {"remote": {"route": "/models"}}]}},
        {"required": {"ckpt_name": ["COMBO", {"options": ["x"], "multiselect": True}]}},
        {"required": {"ckpt_name": ["STRING", {}]}},
        {"required": []},
        {},
    ],
)
async def test_what_the_server_does_not_list_is_not_compared(
    declared: Any, make_engine: MakeEngine, state: SandboxState
) -> None:
    """Choices that only a browser loads, and forms that are not known, are no problem."""
    body = {"CheckpointLoaderSimple": {"input": declared}}
    state.knobs.faults = [Fault(status=200, body=body, path="/object_info/CheckpointLoaderSimple")]
    sample = changed(CHECKPOINT, "4", ckpt_name="flux9.safetensors")

    await make_engine(Sample(sample.workflow, [])).verify()


async def test_verify_needs_no_workflow(make_engine: MakeEngine) -> None:
    """A server can be verified before a workflow is stored."""
    await make_engine(COMFYUI_WORKFLOW="", COMFYUI_WORKFLOW_NODES=[]).verify()
