"""The comfyui engine: refused workflows and errors of the server."""

import copy

import pytest

from image_gateway.errors import (
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
)
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import (
    MakeEngine,
    image_request,
    save_node,
    submitted,
    workflow_without_sampling,
)

pytestmark = pytest.mark.anyio


async def test_an_unknown_node_type_is_named(make_engine: MakeEngine) -> None:
    """The error says to check the configuration."""
    unknown = {"class_type": "NoSuchNode", "inputs": {"image": ["3", 0]}}

    with pytest.raises(EngineRejected, match=r"node NoSuchNode does not exist.*check COMFYUI_WORKFLOW"):
        await make_engine(workflow_without_sampling(**{"5": unknown, "6": save_node("5")})).generate(image_request())


async def test_an_unknown_model_is_named(make_engine: MakeEngine) -> None:
    """The refusal has the server's list of models."""
    with pytest.raises(EngineRejected, match=r"node 4 .*ckpt_name: 'nope' not in \['dreamshaper_8"):
        await make_engine().generate(image_request(model="nope"))


FAULTS: dict[str, tuple[Fault, type[GatewayError], str]] = {
    "refused": (Fault(403, {"error": "no"}, path="/prompt"), EngineRejected, "403"),
    "slow down": (Fault(429, {"error": "busy"}, {"retry-after": "60"}, -1), EngineRateLimited, "busy"),
    "HTML": (Fault(500, "<html><h1>Bad day</h1></html>", times=-1), EngineUnavailable, "500: Bad day"),
    "no JSON": (Fault(200, "{not json", path="/prompt"), EngineUnavailable, "not JSON"),
    "no id": (Fault(200, {"number": 1}, path="/prompt"), EngineUnavailable, "without a prompt_id"),
    "no queue": (Fault(200, [], times=-1), EngineUnavailable, "its /queue holds no queue"),
    "no history": (Fault(200, [], skip=1), EngineUnavailable, "/history"),
    "breaks off": (Fault(0, path="/prompt"), EngineUnavailable, "comfyui"),
    "gateway timeout": (Fault(504, "too slow", path="/prompt"), EngineTimeout, "too slow"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_failure_has_its_error(name: str, make_engine: MakeEngine, state: SandboxState) -> None:
    """Every response becomes an error of the tree, with the server's error text."""
    fault, kind, text = FAULTS[name]
    state.knobs.faults = [copy.deepcopy(fault)]

    with pytest.raises(kind, match=text):
        await make_engine().generate(image_request())


async def test_a_submission_is_not_sent_twice(make_engine: MakeEngine, state: SandboxState) -> None:
    """After a 500 it is not known whether the run is queued, so it is not submitted again."""
    state.knobs.faults = [Fault(500, "broke", path="/prompt")]

    with pytest.raises(EngineUnavailable) as caught:
        await make_engine().generate(image_request())

    assert caught.value.may_have_cost
    assert len(submitted(state)) == 1


async def test_an_unreachable_server_is_named_without_its_address(make_engine: MakeEngine) -> None:
    """The reason is a refused connection."""
    with pytest.raises(EngineUnavailable, match=r"^comfyui cannot be reached \(connection refused\): check"):
        await make_engine(COMFYUI_BASE_URL="http://127.0.0.1:1").generate(image_request())
