"""The dead-letter function: it fails jobs and stores other messages."""

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import Busy
from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from tests.aws_clients import aws_client
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import FOX, enqueue_jobs, orphaned_job
from tests.integration.worker_deployment import WorkerDeployment

GENERATION = {"kind": "generation", "request": FOX}


def test_a_dead_letter_fails_its_job_with_the_reason(worker: WorkerDeployment) -> None:
    """The job of a dead letter ends as `interrupted`, and an event is sent."""
    (job_id,) = enqueue_jobs(worker)

    assert worker.dead_letter(*(message.record for message in worker.drain())) == []

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "interrupted", False)
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Failed"]


def test_a_dead_letter_of_a_crashed_job_says_that_it_may_have_cost(worker: WorkerDeployment) -> None:
    """A running job whose lease has expired fails as well."""
    job_id = orphaned_job(worker, "openai")

    assert worker.dead_letter(record({"job": job_id})) == []

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.may_have_cost) == ("failed", True)


def test_a_dead_letter_fails_its_job_where_no_link_can_be_fetched(worker: WorkerDeployment) -> None:
    """A setting that only the fetching of links needs does not stop this function."""
    (job_id,) = enqueue_jobs(worker)
    unusable = worker.gateway.settings.model_copy(update={"fetch_allowed_hosts": frozenset({"fd00::1"})})
    worker.gateway = Gateway(unusable, worker.gateway.aws)

    assert worker.dead_letter(*(message.record for message in worker.drain())) == []

    assert worker.job(job_id).status == "failed"


def test_a_dead_letter_of_a_leased_job_is_returned(worker: WorkerDeployment) -> None:
    """A job with a valid lease is left to its holder; a finished or unknown job is left unchanged."""
    (job_id,) = enqueue_jobs(worker)
    lease = run(worker.gateway.jobs.lease(job_id, "another", 60, "openai"))
    assert lease

    assert worker.dead_letter(record({"job": job_id}, "m1")) == ["m1"]
    lease.job.fail(Busy("x"))
    run(worker.gateway.jobs.finish(lease.job, "another"))
    assert worker.dead_letter(record({"job": job_id}), record({"job": new_job_id()})) == []


def test_a_dead_letter_of_a_request_fails_its_job(worker: WorkerDeployment) -> None:
    """The job that was recorded for a request is found by the message's id."""
    message = record(GENERATION)
    worker.deliver(message, seconds=10)
    (job,) = worker.jobs()

    assert worker.dead_letter(message) == []

    assert worker.job(job.id).status == "failed"


@pytest.mark.parametrize("attribute", ["Reason", "ERROR_MESSAGE"])
def test_any_other_dead_letter_is_stored(
    worker: WorkerDeployment, caplog: pytest.LogCaptureFixture, attribute: str
) -> None:
    """The body is stored with its reason; the log has only the reason."""
    messages = [record("planted", "m1", {attribute: "Not JSON"}), record(GENERATION, "m2")]

    assert worker.dead_letter(*messages) == []

    assert worker.document("dead-letters/m1.json") == {
        "reason": "Not JSON",
        "sent_at": "2025-06-15T15:06:40.123000+00:00",
        "body": "planted",
    }
    assert worker.document("dead-letters/m2.json")["reason"] == "It was delivered too often"
    assert "planted" not in str([entry.__dict__ for entry in caplog.records])


def test_a_dead_letter_that_cannot_be_stored_is_returned(worker: WorkerDeployment) -> None:
    """Nothing is lost while the bucket fails."""
    aws_client("s3").delete_bucket(Bucket=worker.gateway.settings.bucket)

    assert worker.dead_letter(record("x", "m1")) == ["m1"]
