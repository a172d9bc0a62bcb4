"""Jobs in the table and the queue, and an engine that the deployment generates with."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job
from sandbox.engines.state import SandboxState
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

FOX = {"prompt": "a fox", "size": "64x64"}


def count_requests(state: SandboxState, ending: str = "/images/generations") -> int:
    """Return the number of POST requests that the engine received on paths with this ending."""
    return sum(request.method == "POST" and request.path.endswith(ending) for request in state.record)


def enqueue_jobs(worker: WorkerDeployment, number: int = 1, **fields: Any) -> list[str]:
    """Store jobs in the table and queue them; return their ids."""
    given = {"kind": "generation", "owner": "token:1", "request": FOX, **fields}
    jobs = [Job.model_validate({"id": new_job_id(), **given}) for _ in range(number)]
    for job in jobs:
        run(worker.gateway.jobs.create(job))
        run(worker.gateway.queue.send(job.id, owner=job.owner))
    return [job.id for job in jobs]


def orphaned_job(worker: WorkerDeployment, engine: str) -> str:
    """Queue a running job whose holder died and whose lease has expired; return its id."""
    (job_id,) = enqueue_jobs(worker)
    assert run(worker.gateway.jobs.lease(job_id, "a dead holder", -10, engine))
    return job_id


def generate_with(deployment: "Deployment", serve: Callable[..., str], name: str, **fields: Any) -> SandboxState:
    """Generate with another engine of the sandbox; return its knobs and record."""
    state = SandboxState()
    url = serve(import_module(f"sandbox.engines.{name}").create_app(state))
    url_field = {f"{name.upper()}_BASE_URL": url}
    deployment.configure(IMAGE_GENERATION_ENGINE=name, IMAGE_GENERATION_MODEL="", **url_field, **fields)
    return state
