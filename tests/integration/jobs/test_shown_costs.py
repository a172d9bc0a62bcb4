"""Where the cost of a job is shown: headers of both APIs, records, lists, logs, and results after a redirect."""

import json
from typing import TYPE_CHECKING

import pytest

from sandbox.engines.state import Fault
from tests.integration.jobs.priced_requests import (
    COST,
    FOX,
    GENERATIONS,
    JOBS,
    OPENAI,
    last_job,
    put_prices,
)
from tests.integration.jobs.token_usage import GPT_IMAGE_2, USAGES, answer

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import ApiResponse, Deployment


@pytest.fixture
def by_tokens(openai_deployment: "Deployment") -> "Deployment":
    """A deployment whose engine charges the tokens of gpt-image-2."""
    put_prices(openai_deployment, {"model": "gpt-image-2", "usd_per_million": GPT_IMAGE_2})
    return openai_deployment


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("path", [GENERATIONS, OPENAI])
def test_an_inline_image_costs_its_tokens_to_the_millionth(
    by_tokens: "Deployment", openai: "SandboxState", path: str, usage: str
) -> None:
    """Text, image and cached tokens; on both APIs, in the header, the record and the list."""
    reported, usd = USAGES[usage]
    openai.knobs.faults = [answer(reported)]

    response = by_tokens.call("POST", path, FOX, role="user")

    assert (response.status, response.headers[COST]) == (200, usd)
    listed = last_job(by_tokens)
    assert listed["cost"] == {"usd": usd, "basis": "usage"}
    assert "uncertain_usd" not in listed
    assert by_tokens.call("GET", f"{JOBS}/{listed['id']}", role="user").json["cost"] == listed["cost"]


@pytest.mark.parametrize("path", [GENERATIONS, OPENAI])
def test_a_result_after_a_redirect_says_what_it_cost(
    queue_deployment: "Deployment", openai: "SandboxState", path: str
) -> None:
    """The 303 itself cannot: the engine has not answered."""
    put_prices(queue_deployment, {"model": "gpt-image-2", "usd_per_million": GPT_IMAGE_2})
    openai.knobs.faults = [answer(USAGES["cached"][0])]

    redirect = queue_deployment.call("POST", path, FOX, role="user")
    queue_deployment.process_queue()
    location = path.rpartition("/")[0] + "/" + redirect.headers["location"]
    found = queue_deployment.call("GET", location, role="user")

    assert (redirect.status, COST in redirect.headers) == (303, False)
    assert (found.status, found.headers[COST]) == (200, "0.133125")


def test_the_log_has_the_cost_as_text_and_the_metric_as_a_number(
    by_tokens: "Deployment",
    openai: "SandboxState",
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """CloudWatch knows floating-point numbers only; nothing else has any."""
    openai.knobs.faults = [answer(USAGES["cached"][0])]
    caplog.set_level("INFO", "image_gateway")

    by_tokens.call("POST", GENERATIONS, FOX, role="user")

    assert [record.__dict__["usd"] for record in caplog.records if record.message == "job"] == ["0.133125"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["usd"] for line in lines if "_aws" in line] == [0.133125]


@pytest.mark.parametrize("path", [GENERATIONS, OPENAI])
def test_the_error_of_a_job_has_its_cost(by_tokens: "Deployment", openai: "SandboxState", path: str) -> None:
    """Of zero: the engine has refused it."""
    openai.knobs.faults = [Fault(400, {"error": {"message": "no"}})]

    refused = by_tokens.call("POST", path, FOX, role="user")

    assert (refused.status, refused.headers[COST]) == (400, "0.000000")
    assert last_job(by_tokens)["cost"] == {"usd": "0.000000", "basis": "price"}


def test_a_response_without_a_job_has_no_cost(by_tokens: "Deployment") -> None:
    """Nothing was accepted."""
    refused: ApiResponse = by_tokens.call("POST", GENERATIONS, {"prompt": ""}, role="user")

    assert COST not in refused.headers
    assert COST not in by_tokens.call("GET", JOBS, role="user").headers
