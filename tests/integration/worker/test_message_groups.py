"""The message group of every message of a job is its owner, so that SQS serves owners fairly."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.ids import derived_job_id, new_job_id
from image_gateway.models.jobs import Job
from sandbox.engines.state import Fault, SandboxState
from tests.aws_clients import aws_client
from tests.integration.failing_aws import FailingAws
from tests.integration.jobs.queued_generation import submit
from tests.integration.sqs_records import event, record, request_line
from tests.integration.worker.queued_jobs import FOX, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

GENERATION = {"kind": "generation", "request": FOX}


def groups(worker: WorkerDeployment) -> set[str | None]:
    """Remove the messages of the queue, and return their message groups."""
    return {message.group for message in worker.drain()}


def test_a_job_by_http_is_its_tokens(queue_deployment: "Deployment") -> None:
    """Each caller's requests are a group."""
    for role in ("user", "stranger"):
        submit(queue_deployment, role)
    url = queue_deployment.gateway.settings.queue_url
    received = aws_client("sqs").receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    )
    owners = {message["Attributes"]["MessageGroupId"] for message in received["Messages"]}

    assert owners == {job.owner for job in queue_deployment.jobs()}
    assert len(owners) == 2


@pytest.mark.parametrize(
    ("body", "owner"),
    [(GENERATION, "event:sqs"), (event(FOX, source="shop.orders"), "event:shop.orders")],
    ids=["sqs", "eventbridge"],
)
def test_a_request_that_is_tried_again_is_its_owners(
    worker: WorkerDeployment, openai: SandboxState, body: Any, owner: str
) -> None:
    """The job's message that replaces the message of the request."""
    openai.knobs.faults += [Fault(503, headers={"Retry-After": "20"})]

    worker.deliver(record(body))

    assert groups(worker) == {owner}


@pytest.mark.parametrize(
    ("body", "group", "expected"),
    [
        (GENERATION, None, "event:sqs"),
        (event(FOX, source="shop.orders"), None, "event:shop.orders"),
        (GENERATION, "customer-7", "customer-7"),
        ({"job": new_job_id()}, "token:1", "token:1"),
        (event({}, "Scheduled Event", "aws.events"), None, None),
    ],
    ids=["sqs", "eventbridge", "sqs with a group", "job", "recovery"],
)
def test_a_message_that_is_sent_again_keeps_its_group(
    worker: WorkerDeployment, body: Any, group: str | None, expected: str | None
) -> None:
    """A request without a group gets that of its owner."""
    failing = FailingAws(worker.gateway.aws)
    failing.refusals = ["GetItem", "PutItem", "Query"]
    worker.gateway = Gateway(worker.gateway.settings, failing)
    message = record(body)
    message["attributes"] |= {"MessageGroupId": group} if group else {}

    worker.deliver(message)

    assert [sent.group for sent in worker.drain()] == [expected]


def test_lines_of_a_request_file_are_one_group(worker: WorkerDeployment) -> None:
    """With the message for the lines that are left."""
    created = worker.upload("requests/a.jsonl", [request_line(number) for number in range(25)])

    worker.deliver(record(created), seconds=5)

    messages = worker.drain()
    assert {message.group for message in messages} == {"event:s3"}
    assert len(messages) == 11


def test_a_job_that_must_wait_is_its_owners(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Until its time has come, for another attempt, or for an invocation with more time."""
    enqueue_jobs(worker, owner="token:early", not_before=datetime.now(UTC) + timedelta(hours=1))
    enqueue_jobs(worker, owner="token:retry")
    openai.knobs.faults += [Fault(503, headers={"Retry-After": "20"})]
    worker.deliver(*(message.record for message in worker.drain()))
    assert groups(worker) == {"token:early", "token:retry"}

    enqueue_jobs(worker, owner="token:late")
    worker.deliver(*(message.record for message in worker.drain()), seconds=18)
    assert groups(worker) == {"token:late"}


def test_jobs_that_the_recovery_finds_are_their_owners(worker: WorkerDeployment) -> None:
    """Each job that is found is sent as it was at first."""
    hour = datetime(2026, 1, 2, 3, tzinfo=UTC)
    for number in range(2):
        job_id = derived_job_id(hour - timedelta(minutes=90), str(number))
        owner = f"token:{number}"
        run(worker.gateway.jobs.create(Job(id=job_id, kind="generation", owner=owner, request=FOX)))

    worker.deliver(record(event({}, "Scheduled Event", "aws.events", time="2026-01-02T03:00:00Z")))

    assert groups(worker) == {"token:0", "token:1"}
