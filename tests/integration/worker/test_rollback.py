"""Jobs and tokens that a newer version has created, before a rollback to this one."""

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.state import SandboxState
from tests.aws_clients import aws_client
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

JOBS = "/api/v1/images/jobs"


def change_item(worker: WorkerDeployment, pk: str, **attributes: Any) -> None:
    """Change attributes of an item as a newer version would write them; `job` is merged into the stored JSON."""
    dynamodb, table = aws_client("dynamodb"), worker.gateway.settings.table
    item = dynamodb.get_item(TableName=table, Key={"pk": {"S": pk}})["Item"]
    if job := attributes.pop("job", None):
        item["job"] = {"S": json.dumps(json.loads(item["job"]["S"]) | job)}
    changes = {name: {"S": value} for name, value in attributes.items()}
    dynamodb.put_item(TableName=table, Item={**item, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"kind": "variation"}, "kind variation"), ({"engine": "abacus", "pinned": True}, "engine abacus")],
    ids=["kind", "engine"],
)
def test_a_job_that_this_version_cannot_run_fails_and_cost_nothing(
    worker: WorkerDeployment, openai: SandboxState, changes: dict[str, Any], reason: str
) -> None:
    """Its sender learns why, by the job and by an event, instead of waiting for ever."""
    (job_id,) = enqueue_jobs(worker)
    change_item(worker, f"job#{job_id}", job=changes)

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.error and job.error.code) == ("failed", "not_configured")
    assert job.error
    assert reason in job.error.detail
    assert not job.error.may_have_cost
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Failed"]
    assert openai.record == []


def test_a_job_with_an_unknown_status_is_left_to_the_newer_version(
    worker: WorkerDeployment, openai: SandboxState, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither its message nor its dead letter changes it; both are done, and the log says so."""
    (job_id,) = enqueue_jobs(worker)
    change_item(worker, f"job#{job_id}", status="paused")
    (message,) = worker.drain()

    with caplog.at_level(logging.WARNING):
        assert worker.deliver(message.record) == []
        assert worker.dead_letter(record({"job": job_id})) == []

    assert worker.job(job_id).status == "paused"
    assert (worker.drain(), worker.reported(), openai.record) == ([], [], [])
    assert "a job has an unknown status" in caplog.messages


def test_jobs_of_a_newer_version_are_shown(worker: WorkerDeployment, openai_deployment: "Deployment") -> None:
    """Kind and status are shown as they are stored. Nobody's list of jobs becomes an error."""
    job_ids = enqueue_jobs(worker, 3)
    change_item(worker, f"job#{job_ids[0]}", job={"kind": "variation"}, status="paused")
    change_item(worker, f"job#{job_ids[1]}", job={"images": "none"})

    listed = openai_deployment.call("GET", JOBS)
    read = openai_deployment.call("GET", f"{JOBS}/{job_ids[0]}")

    assert {job["id"] for job in listed.json["jobs"]} == {job_ids[0], job_ids[2]}
    assert (read.status, read.json["kind"], read.json["status"]) == (200, "variation", "paused")


def test_a_job_of_an_unknown_engine_can_be_canceled(worker: WorkerDeployment, openai_deployment: "Deployment") -> None:
    """There is nothing to stop that this version knows of."""
    (job_id,) = enqueue_jobs(worker)
    change_item(worker, f"job#{job_id}", job={"engine": "abacus"})

    response = openai_deployment.call("DELETE", f"{JOBS}/{job_id}")

    assert (response.status, response.json["status"]) == (200, "canceled")


def test_a_token_with_an_unknown_role_is_refused_and_listed(
    worker: WorkerDeployment, openai_deployment: "Deployment", caplog: pytest.LogCaptureFixture
) -> None:
    """What the role permits is not known, so it permits nothing. Other tokens work, and it can be revoked."""
    created = openai_deployment.call("POST", "/api/v1/images/tokens", {"name": "auditor", "role": "user"}).json
    openai_deployment.tokens["auditor"] = created["token"]
    table = aws_client("dynamodb").scan(TableName=worker.gateway.settings.table)["Items"]
    for item in table:
        if item.get("name", {}).get("S") == "auditor":
            change_item(worker, item["pk"]["S"], role="auditor")

    refused = openai_deployment.call("GET", JOBS, role="auditor")
    listed = openai_deployment.call("GET", "/api/v1/images/tokens")
    revoked = openai_deployment.call("DELETE", f"/api/v1/images/tokens/{created['id']}")

    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert "a token has an unknown role" in caplog.messages
    assert {token["name"]: token["role"] for token in listed.json["tokens"]}["auditor"] == "auditor"
    assert revoked.status == 204
