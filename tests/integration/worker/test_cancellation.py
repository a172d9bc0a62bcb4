"""Canceled jobs whose engine cannot be stopped."""

import asyncio
from typing import TYPE_CHECKING

from image_gateway.container import Gateway
from image_gateway.event_loop import run
from sandbox.engines.state import SandboxState
from tests.integration.worker.queued_jobs import count_requests, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def test_a_job_canceled_while_it_runs_stays_canceled(
    worker: WorkerDeployment, openai_deployment: "Deployment", openai: SandboxState
) -> None:
    """Its images are not shown, and there is no event of its success."""
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=60)
    openai.knobs.latency = LONG
    (job_id,) = enqueue_jobs(worker)
    (message,) = worker.drain()

    def cancel() -> None:
        store = Gateway(worker.gateway.settings, worker.gateway.aws).jobs
        wait_until(lambda: openai.in_flight == 1)
        job = asyncio.run(store.get(job_id))
        assert job
        job.status = "canceled"
        assert asyncio.run(store.end(job, expected_status="running"))
        openai.knobs.latency = 0

    with meanwhile(cancel):
        assert worker.deliver(message.record) == []

    job = worker.job(job_id)
    assert (job.status, job.images) == ("canceled", [])
    assert worker.reported() == []


def test_a_canceled_job_never_runs(worker: WorkerDeployment, openai: SandboxState) -> None:
    """The message of a job that was canceled in the queue is dropped."""
    (job_id,) = enqueue_jobs(worker)
    job = worker.job(job_id)
    job.status = "canceled"
    run(worker.gateway.jobs.end(job, expected_status="queued"))

    worker.process_queue()

    assert count_requests(openai) == 0
