"""Budgets of requests by event, and the events about budgets."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.sqs_records import event, record, request_line
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

LIMITS = "/api/v1/images/limits"
PRICES = "/api/v1/images/prices"
FOX = {"prompt": "a fox", "size": "64x64"}


@pytest.fixture
def priced(worker: WorkerDeployment, openai: "SandboxState", openai_deployment: "Deployment") -> "Deployment":
    """A deployment on which an image costs ten cents, with a worker."""
    response = openai_deployment.call("PUT", PRICES, {"prices": [{"model": "*", "usd_per_image": "0.10"}]})
    assert response.status == 200, response.text
    return openai_deployment


def limit(deployment: "Deployment", usd: str, source: str = "sqs", **others: Any) -> None:
    budget = {"usd": usd, "period": "total"}
    assert deployment.call("PUT", LIMITS, {"events": {source: budget}, **others}).status == 200


def remaining(deployment: "Deployment", source: str = "sqs") -> str:
    return str(deployment.call("GET", LIMITS).json["events"][source]["remaining_usd"])


def outcomes(worker: WorkerDeployment) -> list[str]:
    return sorted(job.error.code if job.error else job.status for job in worker.jobs())


def test_messages_for_which_no_money_is_left_are_failed_jobs(worker: WorkerDeployment, priced: "Deployment") -> None:
    """They cost nothing and the engine is not called; the sender finds the reason in the job, and gets an event."""
    limit(priced, "0.20")

    for number in range(3):
        assert worker.deliver(record({"kind": "generation", "request": FOX}, f"m{number}")) == []

    assert outcomes(worker) == ["budget_exceeded", "succeeded", "succeeded"]
    assert remaining(priced) == "0.000000"
    assert "Image Job Failed" in [kind for kind, _ in worker.reported()]


def test_other_sources_are_not_concerned(worker: WorkerDeployment, priced: "Deployment") -> None:
    """A budget is that of a queue, of the bucket, or of one source of EventBridge."""
    limit(priced, "0", "newsroom")

    worker.deliver(record({"kind": "generation", "request": FOX}))
    worker.deliver(record(event(FOX, source="newsroom")))

    assert outcomes(worker) == ["budget_exceeded", "succeeded"]


def test_a_budget_that_is_removed_and_set_again_is_no_new_one(worker: WorkerDeployment, priced: "Deployment") -> None:
    """What was spent of it stays spent."""
    limit(priced, "0.20")
    worker.deliver(record({"kind": "generation", "request": FOX}))

    assert priced.call("PUT", LIMITS, {}).json["events"] == {}
    limit(priced, "0.20")

    assert remaining(priced) == "0.100000"


def test_a_limited_line_goes_where_its_price_was_held_for(worker: WorkerDeployment, priced: "Deployment") -> None:
    """The configuration names a dearer model while the line waits."""
    prices = [{"model": "gpt-image-2", "usd_per_image": "0.10"}, {"model": "dall-e-3", "usd_per_image": "5.00"}]
    assert priced.call("PUT", PRICES, {"prices": prices}).status == 200
    limit(priced, "0.10", "s3")
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line()])))

    priced.configure(IMAGE_GENERATION_MODEL="dall-e-3")
    worker.process_queue()

    [job] = worker.jobs()
    assert (job.status, job.model) == ("succeeded", "gpt-image-2")
    assert remaining(priced, "s3") == "0.000000"


def test_lines_of_a_file_end_when_the_money_does(worker: WorkerDeployment, priced: "Deployment") -> None:
    """The results say so for each line."""
    limit(priced, "0.30", "s3")

    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(number) for number in range(5)])))
    worker.process_queue()

    assert outcomes(worker) == ["budget_exceeded"] * 2 + ["succeeded"] * 3
    results = worker.results()
    assert (results["succeeded"], results["failed"]) == (3, 2)
    assert remaining(priced, "s3") == "0.000000"


def test_a_message_that_is_delivered_again_is_charged_once(worker: WorkerDeployment, priced: "Deployment") -> None:
    """Its job is there already."""
    limit(priced, "1")
    message = record({"kind": "generation", "request": FOX})

    for _ in range(3):
        worker.deliver(message)

    assert remaining(priced) == "0.900000"


def test_the_deployments_budget_counts_for_events_and_its_other_limits_do_not(
    worker: WorkerDeployment, priced: "Deployment"
) -> None:
    """A request file may have thousands of lines."""
    body = {"budget": {"usd": "0.20", "period": "total"}, "requests_per_minute": 1, "max_jobs": 1}
    assert priced.call("PUT", LIMITS, body).status == 200

    for number in range(3):
        worker.deliver(record({"kind": "generation", "request": FOX}, f"m{number}"))

    assert outcomes(worker) == ["budget_exceeded", "succeeded", "succeeded"]
    assert priced.call("GET", LIMITS).json["open_jobs"] == 0


def test_an_event_is_sent_at_80_and_at_100_percent_once(worker: WorkerDeployment, priced: "Deployment") -> None:
    """With what is left and without any text of a request."""
    limit(priced, "1")

    for number in range(10):
        worker.deliver(record({"kind": "generation", "request": FOX}, f"m{number}"))

    sent = [detail for kind, detail in worker.reported() if kind == "Image Budget Used"]
    assert [(detail["percent"], detail["remaining_usd"]) for detail in sent] == [(80, "0.200000"), (100, "0.000000")]
    assert sent[0] | {"percent": 0, "remaining_usd": ""} == {
        "scope": "event:sqs",
        "percent": 0,
        "period": "total",
        "budget_usd": "1.000000",
        "remaining_usd": "",
    }


def test_a_request_that_can_go_nowhere_is_failed_from_the_start_beside_its_budget(
    worker: WorkerDeployment, priced: "Deployment", openai: "SandboxState"
) -> None:
    """Nothing could be held for it, so no later configuration may let it run."""
    route = {"operations": ["edit"], "targets": [{"connection": "openai", "model": "gpt-image-2"}]}
    assert priced.call("PUT", "/api/v1/images/routes/best", route).status in (200, 201)
    limit(priced, "1", "s3")

    lines = [{"kind": "generation", "request": FOX | fields} for fields in ({"model": "best"}, {})]
    worker.deliver(record(worker.upload("requests/a.jsonl", lines)))

    assert outcomes(worker) == ["invalid_request", "queued"]
    assert remaining(priced, "s3") == "0.900000"
    worker.process_queue()
    assert worker.results()["failed"] == 1
    assert len(openai.record) == 1
