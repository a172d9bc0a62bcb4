"""Queued jobs and requests from SQS and EventBridge, processed by the worker function."""

import json
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from functions.worker.app import make_handler
from functions.worker.dead_letters import make_handler as make_dead_letters
from sandbox.engines.state import SandboxState
from tests.integration.sqs_records import event, record
from tests.integration.worker.queued_jobs import FOX, count_requests, enqueue_jobs
from tests.integration.worker_deployment import Context, WorkerDeployment
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

GENERATION = {"kind": "generation", "request": FOX}


def test_a_queued_job_is_done(worker: WorkerDeployment) -> None:
    """A message with a job's id makes its images; the event contains neither URL nor prompt."""
    (job_id,) = enqueue_jobs(worker)

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 1, 1)
    ((kind, detail),) = worker.reported()
    assert (kind, detail["id"], detail["keys"]) == ("Image Job Succeeded", job_id, [job.images[0].key])
    assert "fox" not in json.dumps(detail)
    assert "http" not in json.dumps(detail)


def test_a_request_by_sqs_is_done(worker: WorkerDeployment) -> None:
    """An envelope becomes a job of `event:sqs`, which runs in the same invocation."""
    assert worker.deliver(record(GENERATION)) == []

    (job,) = worker.jobs()
    assert (job.status, job.owner, job.channel, job.request["prompt"]) == ("succeeded", "event:sqs", "sqs", "a fox")
    assert worker.drain() == []


@pytest.mark.parametrize("detail", [FOX, {"request": FOX}], ids=["form", "envelope"])
def test_a_request_by_eventbridge_is_done(worker: WorkerDeployment, detail: Any) -> None:
    """The detail is the form or the envelope; the source is the owner, and the event's time is the job's."""
    assert worker.deliver(record(event(detail, source="shop.orders"))) == []

    (job,) = worker.jobs()
    assert (job.status, job.owner, job.channel) == ("succeeded", "event:shop.orders", "eventbridge")
    assert job.images[0].key.startswith("images/2026/01/02/")


def test_messages_delivered_three_times_out_of_order_run_once(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Queued jobs, envelopes and events: one call of the engine and one event for each."""
    enqueue_jobs(worker, 5)
    records = [message.record for message in worker.drain()]
    records += [record(GENERATION) for _ in range(5)] + [record(event(FOX)) for _ in range(5)]
    deliveries = records * 3
    random.Random(7).shuffle(deliveries)

    returned = {message for first in range(0, 45, 10) for message in worker.deliver(*deliveries[first : first + 10])}
    assert worker.deliver(*(message for message in records if message["messageId"] in returned)) == []

    assert [job.status for job in worker.jobs()] == ["succeeded"] * 15
    assert count_requests(openai) == 15
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Succeeded"] * 15


def test_the_jobs_of_a_batch_run_in_parallel(
    worker: WorkerDeployment, openai_deployment: "Deployment", openai: SandboxState
) -> None:
    """Ten jobs call the engine at the same time, so that they cost one invocation."""
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=60)
    openai.knobs.latency = LONG
    enqueue_jobs(worker, 10)
    records = [message.record for message in worker.drain()]

    def release_all() -> None:
        wait_until(lambda: openai.in_flight == 10)
        openai.knobs.latency = 0

    with meanwhile(release_all):
        assert worker.deliver(*records) == []

    assert openai.max_in_flight == 10
    assert {job.status for job in worker.jobs()} == {"succeeded"}


def test_messages_with_the_same_id_are_one_job(worker: WorkerDeployment, openai: SandboxState) -> None:
    """A sender's own id in two messages makes one job; with another request it makes a failed job."""
    worker.deliver(record({**GENERATION, "id": "order 1"}))
    worker.deliver(record({**GENERATION, "id": "order 1"}))
    worker.deliver(record({"kind": "generation", "id": "order 1", "request": {"prompt": "a hen"}}))

    assert count_requests(openai) == 1
    assert sorted(job.status for job in worker.jobs()) == ["failed", "succeeded"]


def test_a_message_that_fails_does_not_affect_the_rest_of_the_batch(
    worker: WorkerDeployment, caplog: pytest.LogCaptureFixture
) -> None:
    """It is returned to the queue and logged without its body; the others are processed."""
    broken = record("planted body", "broken")
    del broken["attributes"]

    assert worker.deliver(record(GENERATION), broken, record(GENERATION)) == ["broken"]

    assert [job.status for job in worker.jobs()] == ["succeeded"] * 2
    assert "a message failed and is redelivered" in caplog.text
    assert "planted" not in str([entry.__dict__ for entry in caplog.records])


@pytest.mark.parametrize("make", [make_handler, make_dead_letters], ids=["worker", "dead letters"])
def test_urls_are_not_logged(
    worker: WorkerDeployment, caplog: pytest.LogCaptureFixture, make: Callable[..., Any]
) -> None:
    """On Lambda the root logger's level is INFO, at which httpx logs every URL, which may be presigned."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="httpx")

    handler = make(lambda: worker.gateway)
    handler({"Records": [record(GENERATION)]}, Context())

    assert {entry.name for entry in caplog.records if entry.name.startswith("httpx")} == set()
