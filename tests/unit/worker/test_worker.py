"""How the worker ends jobs while the table falters, and what a deployment's stores say of failures."""

import pytest

from image_gateway.aws import Aws
from image_gateway.aws.object_store import ObjectStore
from image_gateway.container import Gateway
from image_gateway.errors import StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.attempt import finish_with_retries
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from image_gateway.worker.retry_policy import MAX_RETRY_DELAY_SECONDS, retry_delay

pytestmark = pytest.mark.anyio


@pytest.fixture
def faltering(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A table that fails as often as the test appends to the list."""
    failures: list[float] = []
    finish = gateway.jobs.finish

    async def falter(job: Job, holder: str) -> bool:
        if failures:
            failures.pop()
            raise StorageUnavailable("planted")
        return await finish(job, holder)

    monkeypatch.setattr(gateway.jobs, "finish", falter)
    return failures


async def immediately(_seconds: float) -> None:
    """Wait in no time."""


async def running(gateway: Gateway) -> Job:
    job = Job(id=new_job_id(), kind="generation", owner="token:1")
    await gateway.jobs.create(job, lease_seconds=60, holder="h")
    job.status = "succeeded"
    return job


async def test_an_end_is_recorded_when_the_table_answers_again(gateway: Gateway, faltering: list[float]) -> None:
    """Images that are paid for are not lost to a moment's failure."""
    job = await running(gateway)
    faltering.extend([1.0] * 3)

    assert await finish_with_retries(gateway.jobs, job, "h", immediately)


async def test_an_end_that_cannot_be_recorded_is_told(gateway: Gateway, faltering: list[float]) -> None:
    """The message comes back."""
    job = await running(gateway)
    faltering.extend([1.0] * 4)

    with pytest.raises(StorageUnavailable):
        await finish_with_retries(gateway.jobs, job, "h", immediately)


def test_delays_grow_and_never_fall_short_of_what_the_engine_asks() -> None:
    """Twice as long every time, with some spread; what an engine asks for, and a day at most."""
    assert all(4 <= retry_delay(1, None) <= 5 and 8 <= retry_delay(2, None) <= 10 for _ in range(50))
    assert all(60 <= retry_delay(1, 60) <= 75 for _ in range(50))
    assert 5000 <= retry_delay(1, 5000) <= 6250
    assert retry_delay(1, 1e9) == MAX_RETRY_DELAY_SECONDS


async def test_a_bucket_that_fails_is_told(settings: Settings, aws: Aws) -> None:
    """Neither reading nor writing passes for what it is not."""
    objects = ObjectStore(aws, settings.model_copy(update={"bucket": "no-such-bucket"}))

    with pytest.raises(StorageUnavailable, match="stored"):
        await objects.put_json("a.json", {})
    with pytest.raises(StorageUnavailable, match="read"):
        await objects.get_json("a.json")


async def test_a_queue_that_fails_is_told(gateway: Gateway) -> None:
    """Whoever sends learns that nothing was sent."""
    broken = Gateway(gateway.settings.model_copy(update={"queue_url": "http://127.0.0.1:1/q"}), gateway.aws)

    with pytest.raises(StorageUnavailable, match="queued"):
        await broken.queue.send("j")


async def test_a_job_that_is_not_there_is_done_with(gateway: Gateway) -> None:
    """A message outlives its job."""
    assert await gateway.worker.process("none", lambda: 900.0)
    assert await gateway.worker.give_up("none", StorageUnavailable("x"))
