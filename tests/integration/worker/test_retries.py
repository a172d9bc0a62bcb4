"""Which failures are retried, and when."""

from typing import TYPE_CHECKING

import pytest

from image_gateway.ids import new_job_id
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from sandbox.engines.state import Fault, SandboxState
from tests.aws_clients import aws_client
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import FOX, count_requests, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

GENERATION = {"kind": "generation", "request": FOX}


def test_a_503_is_retried_after_the_time_that_the_engine_requested(
    worker: WorkerDeployment, openai: SandboxState
) -> None:
    """The job succeeds at the third attempt; the queue delays each retry by at least `Retry-After`."""
    openai.knobs.faults += [Fault(503, headers={"Retry-After": "20"}), Fault(503, headers={"Retry-After": "40"})]
    (job_id,) = enqueue_jobs(worker)
    delays = []

    for _ in range(3):
        (message,) = worker.drain()
        delays.append(message.delay)
        assert worker.deliver(message.record) == []

    job = worker.job(job_id)
    assert (job.status, job.attempts, job.error) == ("succeeded", 3, None)
    assert delays[0] == 0
    assert 20 <= delays[1] <= 25
    assert 40 <= delays[2] <= 50
    assert worker.drain() == []


def test_an_engine_that_stays_down_fails_the_job_after_the_last_attempt(
    worker: WorkerDeployment, openai_deployment: "Deployment"
) -> None:
    """Delays increase; the job has the engine's error, and a dead letter is sent."""
    openai_deployment.configure(IMAGES_OPENAI_API_BASE_URL="http://127.0.0.1:9/v1", IMAGES_OPENAI_API_KEY="x")
    (job_id,) = enqueue_jobs(worker)
    delays = []

    while messages := worker.drain():
        delays.append(messages[0].delay)
        worker.deliver(messages[0].record)

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", MAX_ATTEMPTS, "engine_unavailable")
    assert delays == sorted(delays)
    assert len(set(delays)) == MAX_ATTEMPTS
    (letter,) = worker.drain("dead")
    assert letter.body == {"job": job_id}
    assert worker.dead_letter(letter.record) == []
    assert worker.job(job_id) == job


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(400, {"error": {"message": "no", "code": "moderation_blocked"}}), "content_blocked"),
        (Fault(400, {"error": {"message": "no"}}), "engine_rejected"),
        (Fault(502, {"error": {"message": "bad gateway"}}), "engine_unavailable"),
        (Fault(504, {"error": {"message": "late"}}), "engine_timeout"),
        (Fault(0), "engine_unavailable"),
    ],
)
def test_rejections_and_failures_that_may_have_cost_are_not_retried(
    worker: WorkerDeployment, openai: SandboxState, fault: Fault, code: str
) -> None:
    """Rejections, content blocks, 502s, 504s and broken connections end the job."""
    openai.knobs.faults.append(Fault(**{**vars(fault), "times": -1}))
    (job_id,) = enqueue_jobs(worker)

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code, count_requests(openai)) == ("failed", 1, code, 1)


def test_a_timeout_is_not_retried(worker: WorkerDeployment, openai: SandboxState, event_loop_time: LoopTime) -> None:
    """A timeout after the request was sent may have cost money."""
    openai.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker)

    def advance_past_timeout() -> None:
        wait_until(lambda: openai.in_flight == 1)
        event_loop_time.advance(5)

    with meanwhile(advance_past_timeout):
        worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.error.code, job.error.may_have_cost, count_requests(openai)) == ("engine_timeout", True, 1)


def test_messages_are_returned_while_the_table_fails(worker: WorkerDeployment, openai: SandboxState) -> None:
    """The engine is not called for what cannot be recorded."""
    aws_client("dynamodb").delete_table(TableName=worker.gateway.settings.table)

    assert worker.deliver(record(GENERATION, "m1"), record({"job": new_job_id()}, "m2")) == ["m1", "m2"]

    assert openai.record == []
