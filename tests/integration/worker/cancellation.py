"""Canceling a job from another process."""

from image_gateway.container import Gateway
from tests.integration.worker_deployment import WorkerDeployment


async def cancel(worker: WorkerDeployment, job_id: str) -> None:
    """Cancel a job as the jobs function does, with a gateway of its own."""
    gateway = Gateway(worker.gateway.settings, worker.gateway.aws)
    job = await gateway.jobs.get(job_id)
    assert job
    await gateway.cancellation.cancel(job)
    await gateway.aclose()
