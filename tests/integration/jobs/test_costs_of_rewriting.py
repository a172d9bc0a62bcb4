"""What the rewriting of prompts costs, where a row of the operator's prices names its model."""

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.state import Fault
from tests.integration.jobs.priced_requests import (
    COST,
    FOX,
    GENERATIONS,
    JOBS,
    OPENAI,
    last_job,
    limited,
    put_prices,
)

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

REWRITING = {"ENABLE_IMAGE_PROMPT_GENERATION": True, "IMAGE_PROMPT_GENERATION_MODEL": "gpt-5.6-mini"}
PROMPT_PRICE = {
    "model": "gpt-5.6-mini",
    "usd_per_million": {"text_in": "1000", "cached_text_in": "100", "text_out": "10000"},
}


def completion(usage: dict[str, Any] | None = None, **fault: Any) -> Fault:
    """Return a chat completion with this usage, by default of 60 new, 40 cached and 20 written tokens."""
    counted = {
        "prompt_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 12},
        "total_tokens": 120,
    }
    message = {"role": "assistant", "content": "a red fox"}
    body = {"choices": [{"message": message}], "usage": counted if usage is None else usage}
    return Fault(**{"status": 200, "body": body, "path": "/chat/completions", **fault})


@pytest.fixture
def rewriting(openai_deployment: "Deployment") -> "Deployment":
    """A deployment whose language model and whose images have prices."""
    openai_deployment.configure(**REWRITING)
    put_prices(openai_deployment, PROMPT_PRICE, {"model": "gpt-image-2", "usd_per_image": "0.5"})
    return openai_deployment


def test_the_rewriting_of_a_prompt_is_charged_with_the_image(rewriting: "Deployment", openai: "SandboxState") -> None:
    """60 * 1000 + 40 * 100 + 20 * 10000 millionths; the thoughts are among the written tokens."""
    remaining = limited(rewriting, "50")
    openai.knobs.faults = [completion()]

    response = rewriting.call("POST", GENERATIONS, FOX, role="limited")

    assert (response.status, response.headers[COST]) == (200, "0.764000")
    assert remaining() == "49.236000"


def test_rewriting_is_free_where_no_row_names_its_model(openai_deployment: "Deployment") -> None:
    """The row for all models is for images."""
    openai_deployment.configure(**REWRITING)
    put_prices(openai_deployment, {"model": "*", "usd_per_image": "0.5", "usd_per_million": {"text_in": "1000"}})

    response = openai_deployment.call("POST", GENERATIONS, FOX, role="user")

    assert (response.status, response.headers[COST]) == (200, "0.500000")


@pytest.mark.parametrize("path", [GENERATIONS, OPENAI])
def test_a_failed_job_costs_the_rewriting_of_its_prompt(
    rewriting: "Deployment", openai: "SandboxState", path: str
) -> None:
    """The error says so, too, on both APIs. The refused image costs nothing."""
    remaining = limited(rewriting, "50")
    openai.knobs.faults = [completion()]

    refused = rewriting.call("POST", path, {**FOX, "prompt": "a forbidden fox"}, role="limited")
    openai.knobs.faults = [completion(), Fault(400, {"error": {"message": "no"}}, path="/generations")]
    refused = rewriting.call("POST", path, FOX, role="limited")

    assert refused.status == 400
    assert refused.headers[COST] == "0.264000"
    job = rewriting.call("GET", JOBS, role="limited").json["jobs"][0]
    assert job["cost"] == {"usd": "0.264000", "basis": "usage"}
    assert "uncertain_usd" not in job
    assert float(remaining()) < 50


def test_an_image_that_may_have_cost_is_uncertain_beside_the_rewriting(
    rewriting: "Deployment", openai: "SandboxState"
) -> None:
    """Its price stays held."""
    remaining = limited(rewriting, "50")
    openai.knobs.faults = [completion(), Fault(0, path="/generations", times=-1)]

    failed = rewriting.call("POST", GENERATIONS, FOX, role="limited")

    job = rewriting.call("GET", JOBS, role="limited").json["jobs"][0]
    assert (failed.headers[COST], job["cost"]["usd"], job["uncertain_usd"]) == ("0.264000", "0.264000", "0.500000")
    assert remaining() == "49.236000"


@pytest.mark.parametrize("fault", [completion({}), Fault(0, path="/chat/completions", times=-1)])
def test_a_rewriting_whose_tokens_are_not_known_is_uncertain(
    rewriting: "Deployment", openai: "SandboxState", fault: Fault
) -> None:
    """The image is charged as always."""
    openai.knobs.faults = [fault]

    response = rewriting.call("POST", GENERATIONS, FOX, role="user")

    job = last_job(rewriting)
    assert (response.headers[COST], job["cost"]["usd"]) == ("0.500000", "0.500000")
    assert float(job["uncertain_usd"]) > 20
