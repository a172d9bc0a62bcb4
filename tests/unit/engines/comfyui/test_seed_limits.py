"""Seed nodes that accept no large numbers: the server's refusal names the largest seed."""

from typing import Any

import pytest

from image_gateway.errors import EngineRejected
from sandbox.engines.comfyui_workflows import Sample
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.comfyui.requests_and_workflows import (
    MakeEngine,
    image_request,
    submitted,
    workflow_without_sampling,
)

pytestmark = pytest.mark.anyio

MAX_COLOR = 0xFFFFFF
NODES = [{"type": "seed", "key": "color", "node_ids": ["1"]}]


def seeded() -> Sample:
    """Return a workflow whose seed goes to an input with a maximum of 16,777,215."""
    return Sample(workflow_without_sampling().workflow, NODES)


def sent_seeds(state: SandboxState) -> list[Any]:
    return [body["prompt"]["1"]["inputs"]["color"] for body in submitted(state)]


async def test_a_fresh_seed_stays_below_what_the_server_names(make_engine: MakeEngine, state: SandboxState) -> None:
    """The refusal is free, so each run is submitted again with a smaller seed, under the same id."""
    request = image_request(n=4)

    result = await make_engine(seeded()).generate(request)

    assert len(result.images) == 4
    assert all(image.seed is not None and image.seed <= MAX_COLOR for image in result.images)
    assert [body["prompt_id"] for body in submitted(state)].count(request.job_id) in (1, 2)


async def test_a_requested_seed_that_is_too_large_is_named(make_engine: MakeEngine, state: SandboxState) -> None:
    """Another seed would make another image than the requested one."""
    with pytest.raises(EngineRejected, match=f"seed must be at most {MAX_COLOR}") as caught:
        await make_engine(seeded()).generate(image_request(seed=MAX_COLOR + 1))

    assert caught.value.field == "seed"
    assert len(submitted(state)) == 1


async def test_the_seeds_of_several_runs_wrap_at_the_maximum(make_engine: MakeEngine) -> None:
    """The seed itself is allowed, and only that of the second run is not."""
    result = await make_engine(seeded()).generate(image_request(n=2, seed=MAX_COLOR))

    assert [image.seed for image in result.images] == [MAX_COLOR, 0]


@pytest.mark.parametrize(
    "error",
    [
        {
            "type": "value_bigger_than_max",
            "message": "Value 9 bigger than max of 5",
            "extra_info": {"input_name": "color"},
        },
        {
            "type": "value_bigger_than_max",
            "extra_info": {"input_name": "color", "input_config": ["INT", {"min": 0, "max": 5}]},
        },
    ],
)
async def test_the_maximum_is_read_in_both_places(
    error: dict[str, Any], make_engine: MakeEngine, state: SandboxState
) -> None:
    """Versions differ in whether they send the input's declaration."""
    body = {
        "error": {"type": "x", "message": "no"},
        "node_errors": {"1": {"errors": [error], "class_type": "EmptyImage"}},
    }
    state.knobs.faults = [Fault(400, body, path="/prompt")]

    await make_engine(seeded()).generate(image_request())

    assert sent_seeds(state)[1] <= 5


async def test_another_refusal_is_not_about_the_seed(make_engine: MakeEngine, state: SandboxState) -> None:
    """A workflow with a further problem is not submitted again."""
    sample = seeded()
    sample.workflow["1"]["inputs"]["width"] = 99_999

    with pytest.raises(EngineRejected, match="width"):
        await make_engine(sample).generate(image_request())

    assert len(submitted(state)) == 1
