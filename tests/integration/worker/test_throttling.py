"""AWS throttles the worker before it has leased a job."""

from typing import Any

import pytest

from functions.worker.records import to_message
from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job
from image_gateway.worker.messages import read_message
from image_gateway.worker.resending import MAX_RESENDS
from sandbox.engines.state import SandboxState
from tests.integration.failing_aws import FailingAws
from tests.integration.sqs_records import event, record
from tests.integration.worker.queued_jobs import FOX, count_requests, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment
from tests.loop_time import LoopTime


@pytest.fixture
def aws_failures(worker: WorkerDeployment) -> FailingAws:
    """The worker's AWS."""
    failing = FailingAws(worker.gateway.aws)
    worker.gateway = Gateway(worker.gateway.settings, failing)
    return failing


# The record is read, the record is read for the lease, the lease is written.
@pytest.mark.parametrize("refusals", [["GetItem"], ["PutItem"], ["GetItem"] * 3], ids="-".join)
def test_a_throttled_job_is_sent_again_and_runs_soon(
    worker: WorkerDeployment, aws_failures: FailingAws, openai: SandboxState, refusals: list[str]
) -> None:
    """Its message does not wait for the visibility timeout; delays are 4, 8 and 16 s, and a quarter at most."""
    (job_id,) = enqueue_jobs(worker)
    aws_failures.refusals = list(refusals)
    (message,) = worker.drain()
    delays = []

    for _ in refusals:
        assert worker.deliver(message.record) == []
        (message,) = worker.drain()
        message.record["messageAttributes"] = record({}, None, message.attributes)["messageAttributes"]
        delays.append(message.delay)
    assert worker.deliver(message.record) == []

    assert (worker.job(job_id).status, count_requests(openai)) == ("succeeded", 1)
    assert all(4 * 2**n <= delay <= 5 * 2**n for n, delay in enumerate(delays))
    assert worker.drain() == []


def test_a_new_worker_waits_for_the_configuration(
    worker: WorkerDeployment, aws_failures: FailingAws, openai: SandboxState, event_loop_time: LoopTime
) -> None:
    """It can do nothing else, and its invocation has minutes. All its jobs run, and no message is sent again."""
    job_ids = enqueue_jobs(worker, 3)
    aws_failures.refusals = ["GetParameter"] * 40
    aws_failures.loop_time = event_loop_time

    assert worker.deliver(*(message.record for message in worker.drain())) == []

    assert aws_failures.refusals == []
    assert [worker.job(job_id).status for job_id in job_ids] == ["succeeded"] * 3
    assert (worker.drain(), count_requests(openai)) == ([], 3)


def test_a_new_worker_sends_its_jobs_again_before_its_time_is_over(
    worker: WorkerDeployment, aws_failures: FailingAws, openai: SandboxState, event_loop_time: LoopTime
) -> None:
    """Then another worker may be luckier."""
    (job_id,) = enqueue_jobs(worker)
    aws_failures.refusals = ["GetParameter"] * 1_000
    aws_failures.loop_time = event_loop_time
    (message,) = worker.drain()

    assert worker.deliver(message.record, seconds=60, step_seconds=1) == []

    assert (worker.job(job_id).status, openai.record) == ("queued", [])
    assert len(worker.drain()) == 1


@pytest.mark.parametrize("body", [{"kind": "generation", "request": FOX}, event(FOX)], ids=["sqs", "eventbridge"])
def test_a_throttled_request_becomes_one_job(
    worker: WorkerDeployment, aws_failures: FailingAws, openai: SandboxState, body: Any
) -> None:
    """The job has the id that the first message would have given it, so a copy of that message creates no other."""
    first = record(body, "m1")
    aws_failures.refusals = ["PutItem"]

    assert worker.deliver(first) == []
    (message,) = worker.drain()
    resent = record(message.record["body"], message.record["messageId"], message.attributes)
    assert worker.deliver(resent) == []
    assert worker.deliver(first) == []

    (job,) = worker.jobs()
    content: Any = read_message(to_message(first), worker.gateway.settings.bucket)
    assert (job.id, job.status, count_requests(openai)) == (content.job_id, "succeeded", 1)


def test_a_permanent_failure_is_left_to_redelivery(
    worker: WorkerDeployment, aws_failures: FailingAws, openai: SandboxState
) -> None:
    """Such a message must reach the dead-letter queue, which raises the alarm."""
    aws_failures.refusals, aws_failures.code = ["GetItem"], "AccessDeniedException"
    enqueue_jobs(worker)
    (message,) = worker.drain()

    assert worker.deliver(message.record) == [message.record["messageId"]]

    assert worker.drain() == []
    assert openai.record == []


def test_a_message_is_not_sent_again_for_ever(worker: WorkerDeployment, aws_failures: FailingAws) -> None:
    """After about ten minutes it is redelivered, so that SQS counts its deliveries."""
    (job_id,) = enqueue_jobs(worker)
    worker.drain()
    aws_failures.refusals = ["GetItem"]
    last = record({"job": job_id}, "m2", {"Resent": f"{MAX_RESENDS}:1750000000123:m1"})

    assert worker.deliver(last) == ["m2"]

    assert worker.drain() == []


def test_storage_errors_of_an_attempt_delay_it_by_four_seconds_or_more(
    worker: WorkerDeployment, aws_failures: FailingAws
) -> None:
    """The one second of their `Retry-After` is for callers; five attempts within some seconds would all fail."""
    job = Job(id=new_job_id(), kind="edit", owner="token:1", request={"prompt": "a hat"}, inputs=["inputs/x/0.png"])
    run(worker.gateway.jobs.create(job))
    aws_failures.refusals = ["GET"]

    assert worker.deliver(record({"job": job.id})) == []

    (message,) = worker.drain()
    assert worker.job(job.id).status == "queued"
    assert 4 <= message.delay <= 5
