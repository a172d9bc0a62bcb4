"""Which failures are retried, and when."""

from typing import TYPE_CHECKING

import boto3
import pytest

from image_gateway.ids import new_job_id
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from sandbox.engines.state import Fault, SandboxState
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import FOX, count_requests, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

GENERATION = {"kind": "generation", "request": FOX}


def test_503_twice_then_an_image(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Succeeded at the third attempt; between them the queue waits at least as long as the engine asked for."""
    openai.knobs.faults += [Fault(503, headers={"Retry-After": "20"}), Fault(503, headers={"Retry-After": "40"})]
    (job_id,) = enqueue_jobs(worker)
    waits = []

    for _ in range(3):
        (message,) = worker.drain()
        waits.append(message.delay)
        assert worker.deliver(message.record) == []

    job = worker.job(job_id)
    assert (job.status, job.attempts, job.error) == ("succeeded", 3, None)
    assert waits[0] == 0
    assert 20 <= waits[1] <= 25
    assert 40 <= waits[2] <= 50
    assert worker.drain() == []


def test_an_engine_that_is_down_for_good_fails_the_job(
    worker: WorkerDeployment, openai_deployment: "Deployment"
) -> None:
    """After so many attempts, ever further apart, the job fails in the engine's words and a dead letter is sent."""
    openai_deployment.configure(IMAGES_OPENAI_API_BASE_URL="http://127.0.0.1:9/v1", IMAGES_OPENAI_API_KEY="x")
    (job_id,) = enqueue_jobs(worker)
    waits = []

    while messages := worker.drain():
        waits.append(messages[0].delay)
        worker.deliver(messages[0].record)

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", MAX_ATTEMPTS, "engine_unavailable")
    assert waits == sorted(waits)
    assert len(set(waits)) == MAX_ATTEMPTS
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
def test_what_may_have_cost_or_is_refused_is_not_tried_again(
    worker: WorkerDeployment, openai: SandboxState, fault: Fault, code: str
) -> None:
    """Refusals, content blocks, 502s and broken connections end the job at once."""
    openai.knobs.faults.append(Fault(**{**vars(fault), "times": -1}))
    (job_id,) = enqueue_jobs(worker)

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code, count_requests(openai)) == ("failed", 1, code, 1)


def test_an_engine_that_is_too_slow_is_not_asked_again(
    worker: WorkerDeployment, openai: SandboxState, handlers_time: LoopTime
) -> None:
    """A timeout after the request was sent may have cost money."""
    openai.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker)

    def run_out_of_time() -> None:
        wait_until(lambda: openai.in_flight == 1)
        handlers_time.advance(5)

    with meanwhile(run_out_of_time):
        worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.error.code, job.error.may_have_cost, count_requests(openai)) == ("engine_timeout", True, 1)


def test_a_table_that_fails_brings_the_message_back(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Nothing is asked of the engine that could not be recorded."""
    boto3.client("dynamodb").delete_table(TableName=worker.gateway.settings.table)

    assert worker.deliver(record(GENERATION, "m1"), record({"job": new_job_id()}, "m2")) == ["m1", "m2"]

    assert openai.record == []
