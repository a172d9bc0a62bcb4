"""Canceling a job from another process."""

from image_gateway.container import Gateway
from image_gateway.jobs.cancellation import Cancellation
from tests.integration.worker_deployment import WorkerDeployment


async def cancel(worker: WorkerDeployment, job_id: str) -> None:
    """Cancel a job as the jobs function does: in another process."""
    other = Gateway(worker.gateway.settings, worker.gateway.aws)
    cancellation = Cancellation(
        jobs=other.jobs, configs=other.configs, engine=other.engine, events=other.events, queue=other.queue
    )
    job = await other.jobs.get(job_id)
    assert job
    await cancellation.cancel(job)
    await other.aclose()
