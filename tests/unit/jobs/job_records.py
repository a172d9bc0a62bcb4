"""Job records, and the items that the table has for them."""

from typing import Any

from image_gateway.ids import new_job_id
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from tests.aws_clients import aws_client

START = 1_800_000_000.0


class Clock:
    """Seconds since 1970, which the test advances."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds


def new_job(**fields: Any) -> Job:
    return Job.model_validate({"id": new_job_id(), "kind": "generation", "owner": "token:1", **fields})


def stored_item(settings: Settings, job: Job) -> dict[str, Any]:
    """Return the item of a job."""
    response = aws_client("dynamodb").get_item(TableName=settings.table, Key={"pk": {"S": f"job#{job.id}"}})
    return response["Item"]


async def leased_job(store: JobStore, holder: str = "a", seconds: float = 60) -> Job:
    """Store a running job that `holder` has leased."""
    job = new_job()
    await store.create(job, lease_seconds=seconds, holder=holder)
    return job
