"""What jobs by event cost: in their events, and in the results of a request file."""

import base64
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.painter import paint
from sandbox.engines.state import Fault
from tests.integration.sqs_records import record, request_line
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

FOX = {"prompt": "a fox", "size": "64x64"}
RATES = {"text_in": "5", "image_in": "8", "cached_text_in": "1.25", "cached_image_in": "2", "image_out": "30"}
USAGE = {
    "total_tokens": 100,
    "input_tokens": 50,
    "output_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}
"""The example of OpenAI's API reference: at the prices of gpt-image-2, 0.001870 dollars."""


@pytest.fixture
def answering(worker: WorkerDeployment, openai: "SandboxState", openai_deployment: "Deployment") -> "Deployment":
    """A deployment whose engine charges the tokens of gpt-image-2, and reports these for each image."""
    rows = [{"model": "gpt-image-2", "usd_per_million": RATES}]
    assert openai_deployment.call("PUT", "/api/v1/images/prices", {"prices": rows}).status == 200
    image = base64.b64encode(paint("a fox", 64, 64)).decode()
    openai.knobs.faults = [Fault(200, {"data": [{"b64_json": image}], "usage": USAGE}, times=-1)]
    return openai_deployment


def unknown_price(deployment: "Deployment", policy: str) -> None:
    budget = {"usd": "1", "period": "total"}
    body = {"unknown_price": policy, "budget": budget, "events": {"sqs": budget, "s3": budget}}
    assert deployment.call("PUT", "/api/v1/images/limits", body).status == 200
    assert deployment.call("PUT", "/api/v1/images/prices", {"prices": []}).status == 200


def test_the_event_about_a_job_says_what_it_cost(worker: WorkerDeployment, answering: "Deployment") -> None:
    """To the millionth, as text."""
    worker.deliver(record({"kind": "generation", "request": FOX}))

    ((kind, detail),) = worker.reported()
    assert (kind, detail["cost"]) == ("Image Job Succeeded", {"usd": "0.001870", "basis": "usage"})


def test_the_results_of_a_file_say_what_each_line_cost(worker: WorkerDeployment, answering: "Deployment") -> None:
    """A line that is no request has no cost."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(1), "no request", request_line(2)])))
    worker.process_queue()

    lines: list[dict[str, Any]] = worker.results()["lines"]

    assert [line.get("cost") for line in lines] == [
        {"usd": "0.001870", "basis": "usage"},
        None,
        {"usd": "0.001870", "basis": "usage"},
    ]
    assert all("uncertain_usd" not in line for line in lines)


def test_the_results_of_a_file_say_what_a_line_may_have_cost(
    worker: WorkerDeployment, answering: "Deployment", openai: "SandboxState"
) -> None:
    """The engine closed the connection in the middle of its response."""
    openai.knobs.faults = [Fault(0, times=-1)]
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(1)])))
    worker.process_queue()

    (line,) = worker.results()["lines"]

    assert line["status"] == "failed"
    assert line["cost"] == {"usd": "0.000000", "basis": "unknown"}
    assert float(line["uncertain_usd"]) > 0


@pytest.mark.parametrize(("policy", "outcome"), [("zero", "succeeded"), ("refuse", "not_configured")])
def test_an_unknown_price_is_refused_or_counts_as_nothing(
    worker: WorkerDeployment, answering: "Deployment", policy: str, outcome: str
) -> None:
    """A message and a line of a file."""
    unknown_price(answering, policy)

    worker.deliver(record({"kind": "generation", "request": FOX}))
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(1)])))
    worker.process_queue()

    assert [job.error.code if job.error else job.status for job in worker.jobs()] == [outcome, outcome]
