"""Messages that are no valid request: failed jobs and dead letters."""

from typing import Any

import pytest

from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job
from sandbox.engines.state import SandboxState
from tests.integration.sqs_records import event, record
from tests.integration.worker.queued_jobs import FOX
from tests.integration.worker_deployment import WorkerDeployment


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (record({"kind": "generation", "request": {"n": 3}}), "request.prompt: Field required"),
        (record({"kind": "generation", "request": FOX, "prompt": "x"}), "prompt: Extra inputs"),
        (record(event({"prompt": " ", "n": 99})), "(and 1 more)"),
        (record(event({"prompt": "x"}, "Image Edit Requested")), "request.image: Field required"),
    ],
)
def test_an_invalid_request_is_a_failed_job(
    worker: WorkerDeployment, openai: SandboxState, message: Any, reason: str
) -> None:
    """The job has the reason, and an event is sent; the engine is not called, and no message is sent."""
    assert worker.deliver(message, message) == []

    (job,) = worker.jobs()
    assert job.error
    assert (job.status, job.error.code) == ("failed", "invalid_request")
    assert reason in job.error.detail
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Failed"]
    assert openai.record == []
    assert worker.drain() == worker.drain("dead") == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "Not JSON"),
        ("[" * 100_000, "Not JSON"),
        ("[1]", "not a JSON object"),
        ({"request": FOX}, "no kind"),
        ({"kind": "video", "request": FOX}, "no kind"),
        (event(FOX, "Image Job Succeeded"), "detail-type"),
        (event(FOX, source="aws.ec2"), "AWS services"),
        (event(FOX, time="soon"), "malformed"),
        (event(FOX, time="0001-01-01T00:00:00Z"), "malformed"),
        (event([]), "malformed"),
        (event({}, "Object Created", "aws.s3"), "malformed"),
        (event({"bucket": {"name": "other"}, "object": {"key": "requests/a.json"}}, "Object Created", "aws.s3"), "own"),
    ],
)
def test_a_message_that_cannot_be_parsed_is_dead_lettered_with_its_reason(
    worker: WorkerDeployment, body: Any, reason: str
) -> None:
    """Its body is unchanged, and it is not returned to the queue."""
    message = record(body)

    assert worker.deliver(message) == []

    (letter,) = worker.drain("dead")
    assert letter.record["body"] == message["body"]
    assert reason in letter.attributes["Reason"]
    assert worker.jobs() == []


def test_without_a_dead_letter_queue_an_invalid_message_is_returned(worker: WorkerDeployment) -> None:
    """SQS's own redrive policy applies."""
    without_dead_letters = WorkerDeployment(
        Gateway(worker.gateway.settings.model_copy(update={"dead_letter_queue_url": ""}), worker.gateway.aws), "x"
    )

    assert without_dead_letters.deliver(record("not json", "m1")) == ["m1"]


def test_a_stored_request_that_is_no_longer_valid_fails_its_job(worker: WorkerDeployment) -> None:
    """A job of another version ends instead of staying in the queue."""
    job = Job(id=new_job_id(), kind="generation", owner="token:1", request={"prompt": ""})
    run(worker.gateway.jobs.create(job))

    assert worker.deliver(record({"job": job.id})) == []

    stored = worker.job(job.id)
    assert stored.error
    assert (stored.status, stored.error.code) == ("failed", "internal_error")
