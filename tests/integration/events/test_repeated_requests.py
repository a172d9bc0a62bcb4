"""Requests by SQS, EventBridge and file that are sent again with the same `id`."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.aws import AwsError
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from sandbox.engines.state import Fault, SandboxState
from tests.integration.sqs_records import Record, event, record, request_line
from tests.integration.worker.queued_jobs import FOX, count_requests
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def rate_limited(attempts: int) -> Fault:
    """Return the fault of an engine that is busy for a number of attempts, and says so only once in each."""
    return Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "17"}, times=attempts)


def request(channel: str, **fields: Any) -> Record:
    """Return a new message with a request of this channel, whose id is `order 1`."""
    envelope = {"id": "order 1", "request": FOX, **fields}
    return record({**envelope, "kind": "generation"} if channel == "sqs" else event(envelope))


def deliver(worker: WorkerDeployment, *messages: Record) -> None:
    """Deliver messages, and then the messages of queued jobs until nothing is left."""
    assert worker.deliver(*messages) == []
    worker.process_queue()


def statuses(worker: WorkerDeployment) -> list[str]:
    """Return the statuses of all jobs, sorted."""
    return sorted(job.status for job in worker.jobs())


def reported_ends(worker: WorkerDeployment) -> list[str]:
    """Return the statuses of the events that were sent since the last call."""
    return [detail["status"] for _kind, detail in worker.reported()]


def refuse_events(worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bus refuse events until the test's `monkeypatch` is undone."""
    call = worker.gateway.aws.call

    async def fail_or_call(service: str, operation: str, **parameters: Any) -> Any:
        if operation == "PutEvents":
            raise AwsError("AccessDenied", status=403)
        return await call(service, operation, **parameters)

    monkeypatch.setattr(worker.gateway.aws, "call", fail_or_call)


@pytest.fixture(params=["sqs", "eventbridge"])
def channel(request: pytest.FixtureRequest) -> str:
    """The channels whose `id` works as an `Idempotency-Key`."""
    return str(request.param)


def test_a_request_that_failed_at_no_cost_and_is_sent_again_is_a_new_job(
    worker: WorkerDeployment, openai: SandboxState, channel: str
) -> None:
    """As over HTTP: the engine that was busy may have time now. The sender gets an event for each of the two jobs."""
    openai.knobs.faults.append(rate_limited(MAX_ATTEMPTS))
    deliver(worker, request(channel))

    deliver(worker, request(channel))

    assert statuses(worker) == ["failed", "succeeded"]
    assert reported_ends(worker) == ["failed", "succeeded"]
    assert count_requests(openai) == MAX_ATTEMPTS + 1


def test_a_request_can_be_sent_again_after_each_failure_at_no_cost(
    worker: WorkerDeployment, openai: SandboxState, channel: str
) -> None:
    """The third request becomes the third job, because the second one failed as well."""
    openai.knobs.faults.append(rate_limited(2 * MAX_ATTEMPTS))
    for _ in range(3):
        deliver(worker, request(channel))

    assert statuses(worker) == ["failed", "failed", "succeeded"]


def test_redelivered_messages_of_both_requests_run_nothing_again(
    worker: WorkerDeployment, openai: SandboxState, channel: str
) -> None:
    """Each message keeps its own job: the first one the failed job, the second one the job that succeeded."""
    openai.knobs.faults.append(rate_limited(MAX_ATTEMPTS))
    first, second = request(channel), request(channel)
    deliver(worker, first)
    deliver(worker, second)

    deliver(worker, second, first)

    assert statuses(worker) == ["failed", "succeeded"]
    assert count_requests(openai) == MAX_ATTEMPTS + 1


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_a_request_whose_job_has_ended_gets_the_event_of_its_end_again(
    worker: WorkerDeployment, openai: SandboxState, channel: str, status: str
) -> None:
    """As a repeated HTTP request gets the job's images, or an error that may have cost. Nothing is paid twice."""
    if status == "failed":
        openai.knobs.faults.append(Fault(500, "broken"))
    deliver(worker, request(channel))

    deliver(worker, request(channel))

    assert statuses(worker) == [status]
    assert reported_ends(worker) == [status, status]
    assert count_requests(openai) == 1


def test_a_request_whose_job_waits_for_its_next_attempt_does_not_start_it(
    worker: WorkerDeployment, openai: SandboxState, channel: str
) -> None:
    """The job has a message of its own, with the delay that the engine requested."""
    openai.knobs.faults.append(rate_limited(1))
    assert worker.deliver(request(channel)) == []

    assert worker.deliver(request(channel)) == []

    assert (statuses(worker), count_requests(openai)) == (["queued"], 1)
    assert len(worker.drain()) == 1


@pytest.mark.parametrize("key", ["requests/orders.jsonl", "requests/more.jsonl"], ids=["same name", "other name"])
def test_a_line_that_failed_at_no_cost_and_is_sent_again_in_a_file_is_a_new_job(
    worker: WorkerDeployment, openai: SandboxState, key: str
) -> None:
    """In files, an id is only repeated in the results, so that each file's lines are new jobs."""
    openai.knobs.faults.append(rate_limited(MAX_ATTEMPTS))
    first = worker.upload("requests/orders.jsonl", [request_line(id="order 1")])
    deliver(worker, record(first))

    second = worker.upload(key, [request_line(id="order 1")])
    second["detail"]["object"]["sequencer"] = "00617F08299329D18A"
    deliver(worker, record(second))

    assert statuses(worker) == ["failed", "succeeded"]


def test_a_repeated_edit_stores_no_inputs(
    edit_worker: "tuple[WorkerDeployment, Any]", deployment: "Deployment"
) -> None:
    """The id is looked at before anything is done for the request."""
    worker, _engine = edit_worker
    edit = {"kind": "edit", "id": "order 1", "request": {"prompt": "a hat", "image": "data:image/png;base64,AAAA"}}
    deliver(worker, record(edit))
    stored = worker.keys("inputs/")

    deliver(worker, record(edit))

    assert worker.keys("inputs/") == stored
    assert len(deployment.jobs()) == 1


def test_a_repeated_request_that_is_redelivered_repeats_the_event_at_most_once(
    worker: WorkerDeployment, channel: str
) -> None:
    """Only the first redelivery may come from a receiver that died before it sent the event."""
    deliver(worker, request(channel))
    assert reported_ends(worker) == ["succeeded"]
    repeated = request(channel)

    for received in range(1, 22):
        repeated["attributes"]["ApproximateReceiveCount"] = str(received)
        deliver(worker, repeated)

    assert reported_ends(worker) == ["succeeded"] * 2


def test_a_repeated_request_whose_event_the_bus_refuses_is_delivered_again(
    worker: WorkerDeployment, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is sent with the next delivery, once."""
    deliver(worker, request(channel))
    assert reported_ends(worker) == ["succeeded"]
    repeated = request(channel)
    refuse_events(worker, monkeypatch)
    assert worker.deliver(repeated) == [repeated["messageId"]]
    monkeypatch.undo()

    for _ in range(2):
        repeated["attributes"]["ApproximateReceiveCount"] = "2"
        deliver(worker, repeated)

    assert reported_ends(worker) == ["succeeded"]
