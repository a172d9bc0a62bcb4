"""Recording a job's completion while the table fails."""

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.attempt import finish_with_retries
from image_gateway.models.jobs import Job
from tests.unit.jobs.submission_fakes import FakeTime

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


async def create_succeeded_job(gateway: Gateway) -> Job:
    job = Job(id=new_job_id(), kind="generation", owner="token:1")
    await gateway.jobs.create(job, lease_seconds=60, holder="h")
    job.status = "succeeded"
    return job


async def test_completion_is_recorded_after_an_outage_that_is_shorter_than_the_time_left(
    gateway: Gateway, failures: list[StorageUnavailable], time: FakeTime
) -> None:
    """Images that are paid for are not lost."""
    job = await create_succeeded_job(gateway)
    failures.extend([StorageUnavailable("the table fails")] * 10)

    assert await finish_with_retries(gateway.jobs, job, "h", lambda: 90 - time(), time.sleep)
    assert 10 < time() < 90


async def test_a_failure_is_raised_when_the_time_is_over(
    gateway: Gateway, failures: list[StorageUnavailable], time: FakeTime
) -> None:
    """The error reaches the caller, so that the job's message is redelivered."""
    job = await create_succeeded_job(gateway)
    failures.extend([StorageUnavailable("the table fails")] * 1_000)

    with pytest.raises(StorageUnavailable):
        await finish_with_retries(gateway.jobs, job, "h", lambda: 90 - time(), time.sleep)
    assert time() <= 90
