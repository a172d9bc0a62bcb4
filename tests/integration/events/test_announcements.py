"""Events about the ends of jobs while the bus refuses events, or where a function dies before it sends one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.aws import AwsError
from image_gateway.event_loop import run
from image_gateway.jobs.events import JobEvents
from image_gateway.models.jobs import Job
from tests.integration.jobs.generation import generate
from tests.integration.sqs_records import event, record
from tests.integration.worker.cancellation import cancel
from tests.integration.worker.queued_jobs import enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

Fail = Callable[[str, str], None]


@pytest.fixture
def deployment_of_worker(openai_deployment: "Deployment", worker: WorkerDeployment) -> "Deployment":
    """The HTTP functions of the worker's deployment."""
    openai_deployment.gateway = worker.gateway
    return openai_deployment


@pytest.fixture
def fail(worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Let calls of an operation of AWS fail until the test's `monkeypatch` is undone."""

    def fail(service: str, operation: str) -> None:
        call = worker.gateway.aws.call

        async def fail_or_call(called: str, name: str, **parameters: Any) -> Any:
            if (called, name) == (service, operation):
                raise AwsError("AccessDenied", status=403)
            return await call(called, name, **parameters)

        monkeypatch.setattr(worker.gateway.aws, "call", fail_or_call)

    return fail


def deliver(worker: WorkerDeployment, job_id: str, times: int = 1) -> None:
    """Deliver a job's message `times` times."""
    for received in range(1, times + 1):
        message = record({"job": job_id})
        message["attributes"]["ApproximateReceiveCount"] = str(received)
        assert worker.deliver(message) == []


def kinds(worker: WorkerDeployment) -> list[str]:
    """Return the types of the events since the last call."""
    return [kind for kind, _detail in worker.reported()]


def test_a_refused_event_of_an_inline_job_is_sent_by_the_message_that_looks_after_it(
    worker: WorkerDeployment, deployment_of_worker: "Deployment", fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent once, however often that message is delivered."""
    fail("events", "PutEvents")
    assert generate(deployment_of_worker).status == 200
    monkeypatch.undo()
    (job,) = worker.jobs()
    assert (kinds(worker), job.announced) == ([], False)

    deliver(worker, job.id, times=3)

    assert (kinds(worker), worker.job(job.id).announced) == (["Image Job Succeeded"], True)


def test_the_event_of_an_inline_job_whose_function_died_is_sent_later(
    worker: WorkerDeployment, deployment_of_worker: "Deployment", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function died between the record of the end and the event."""

    async def die(_events: JobEvents, _job: Job) -> bool:
        raise RuntimeError

    monkeypatch.setattr(JobEvents, "publish_completion", die)
    assert generate(deployment_of_worker).status == 500
    monkeypatch.undo()
    (job,) = worker.jobs()

    deliver(worker, job.id)

    assert kinds(worker) == ["Image Job Succeeded"]


def test_the_event_of_an_inline_job_is_not_repeated(
    worker: WorkerDeployment, deployment_of_worker: "Deployment"
) -> None:
    """The message that looks after the job finds that its end was announced, even if it is delivered 21 times."""
    assert generate(deployment_of_worker).status == 200
    (job,) = worker.jobs()

    deliver(worker, job.id, times=21)

    assert kinds(worker) == ["Image Job Succeeded"]


def test_a_message_that_is_delivered_21_times_repeats_the_event_once(worker: WorkerDeployment) -> None:
    """Only the first redelivery may come from a receiver that died before it sent the event."""
    (job_id,) = enqueue_jobs(worker)

    deliver(worker, job_id, times=21)

    assert kinds(worker) == ["Image Job Succeeded"] * 2


def test_a_worker_writes_nothing_more_for_an_event_that_the_bus_accepts(worker: WorkerDeployment, fail: Fail) -> None:
    """The job's message is the guarantee, and its deletion the record."""
    (job_id,) = enqueue_jobs(worker)
    fail("dynamodb", "UpdateItem")

    worker.process_queue()

    assert (kinds(worker), worker.job(job_id).announced) == (["Image Job Succeeded"], None)


@pytest.mark.parametrize("by", ["message", "recovery"])
def test_a_refused_event_of_a_canceled_job_is_sent_later(
    worker: WorkerDeployment, fail: Fail, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """By the job's message, or by the recovery if that message is lost."""
    (job_id,) = enqueue_jobs(worker)
    fail("events", "PutEvents")
    run(cancel(worker, job_id))
    monkeypatch.undo()
    if by == "recovery":
        worker.drain()
        recover(worker)

    worker.process_queue()

    assert kinds(worker) == ["Image Job Canceled"]


def test_a_job_that_the_queue_refuses_is_announced_as_failed(
    worker: WorkerDeployment, deployment_of_worker: "Deployment", fail: Fail
) -> None:
    """Its record says so, and who waits for events learns it."""
    fail("sqs", "SendMessage")

    assert generate(deployment_of_worker, {"Prefer": "respond-async"}).status == 503

    assert kinds(worker) == ["Image Job Failed"]


def test_a_job_that_queue_and_bus_refuse_is_announced_by_the_recovery(
    worker: WorkerDeployment, deployment_of_worker: "Deployment", fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no message."""
    fail("sqs", "SendMessage")
    fail("events", "PutEvents")
    assert generate(deployment_of_worker, {"Prefer": "respond-async"}).status == 503
    monkeypatch.undo()
    recover(worker)

    worker.process_queue()

    assert kinds(worker) == ["Image Job Failed"]


def test_a_refused_event_of_an_invalid_request_is_sent_by_its_message(
    worker: WorkerDeployment, fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is delivered again."""
    message = record({"kind": "generation", "request": {"prompt": 1}})
    fail("events", "PutEvents")
    assert worker.deliver(message) == [message["messageId"]]
    monkeypatch.undo()

    assert worker.deliver(message) == []

    assert kinds(worker) == ["Image Job Failed"]


def test_without_a_bus_an_end_is_recorded_as_announced_when_it_is_settled(openai_deployment: "Deployment") -> None:
    """There is no event to be sent later, and nothing is left for the recovery."""
    assert generate(openai_deployment).status == 200

    (job,) = openai_deployment.jobs()
    assert (job.announced, job.settled) == (True, True)


def recover(worker: WorkerDeployment) -> None:
    """Run the recovery for the last hour's jobs."""
    later = datetime.now(UTC) + timedelta(hours=1, minutes=1)
    worker.deliver(record(event({}, "Scheduled Event", "aws.events", time=later.isoformat())))
