"""Recording a job's completion while the table fails."""

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.attempt import finish_with_retries
from image_gateway.models.jobs import Job

pytestmark = pytest.mark.anyio


@pytest.fixture
def failures(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[StorageUnavailable]:
    """Errors that the table raises, one for each attempt to finish a job; then it works again."""
    errors: list[StorageUnavailable] = []
    finish = gateway.jobs.finish

    async def finish_or_fail(job: Job, holder: str) -> bool:
        if errors:
            raise errors.pop()
        return await finish(job, holder)

    monkeypatch.setattr(gateway.jobs, "finish", finish_or_fail)
    return errors


async def no_sleep(_seconds: float) -> None:
    """Return at once."""


async def create_succeeded_job(gateway: Gateway) -> Job:
    job = Job(id=new_job_id(), kind="generation", owner="token:1")
    await gateway.jobs.create(job, lease_seconds=60, holder="h")
    job.status = "succeeded"
    return job


async def test_completion_is_recorded_after_three_failures(
    gateway: Gateway, failures: list[StorageUnavailable]
) -> None:
    """A short failure of the table does not lose images that are paid for."""
    job = await create_succeeded_job(gateway)
    failures.extend([StorageUnavailable("the table fails")] * 3)

    assert await finish_with_retries(gateway.jobs, job, "h", no_sleep)


async def test_the_fourth_failure_is_raised(gateway: Gateway, failures: list[StorageUnavailable]) -> None:
    """The error reaches the caller, so that the job's message is redelivered."""
    job = await create_succeeded_job(gateway)
    failures.extend([StorageUnavailable("the table fails")] * 4)

    with pytest.raises(StorageUnavailable):
        await finish_with_retries(gateway.jobs, job, "h", no_sleep)
