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
    ("message", "words"),
    [
        (record({"kind": "generation", "request": {"n": 3}}), "request.prompt: Field required"),
        (record({"kind": "generation", "request": FOX, "prompt": "x"}), "prompt: Extra inputs"),
        (record(event({"prompt": " ", "n": 99})), "(and 1 more)"),
        (record(event({"prompt": "x"}, "Image Edit Requested")), "request.image: Field required"),
    ],
)
def test_a_request_that_does_not_validate_is_a_failed_job(
    worker: WorkerDeployment, openai: SandboxState, message: Any, words: str
) -> None:
    """Its owner finds it with the reason, and the account is told; nothing is asked or sent round."""
    assert worker.deliver(message, message) == []

    (job,) = worker.jobs()
    assert job.error
    assert (job.status, job.error.code) == ("failed", "invalid_request")
    assert words in job.error.detail
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
def test_what_cannot_be_parsed_is_buried_with_its_reason(worker: WorkerDeployment, body: Any, reason: str) -> None:
    """It goes to the dead letters as it came, once, and not round and round."""
    message = record(body)

    assert worker.deliver(message) == []

    (letter,) = worker.drain("dead")
    assert letter.record["body"] == message["body"]
    assert reason in letter.attributes["Reason"]
    assert worker.jobs() == []


def test_without_a_dead_letter_queue_a_message_comes_back(worker: WorkerDeployment) -> None:
    """SQS's own redrive is left to deal with it."""
    alone = WorkerDeployment(
        Gateway(worker.gateway.settings.model_copy(update={"dead_letter_queue_url": ""}), worker.gateway.aws), "x"
    )

    assert alone.deliver(record("not json", "m1")) == ["m1"]


def test_a_record_of_another_version_fails_its_job(worker: WorkerDeployment) -> None:
    """A request in the table that is no form any more ends its job instead of staying for ever."""
    job = Job(id=new_job_id(), kind="generation", owner="token:1", request={"prompt": ""})
    run(worker.gateway.jobs.create(job))

    assert worker.deliver(record({"job": job.id})) == []

    found = worker.job(job.id)
    assert found.error
    assert (found.status, found.error.code) == ("failed", "internal_error")
