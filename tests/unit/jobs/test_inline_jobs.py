"""Jobs that run inline, in the function that received the request."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.aws.deadlines import time_limit_factor
from image_gateway.errors import EngineRateLimited, StorageUnavailable
from image_gateway.jobs.store import JobStore
from image_gateway.metering.limit_store import LimitStore
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job
from image_gateway.models.limits import Limits
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.loop_time import LoopTime, controlled_time
from tests.polling import DEADLINE_SECONDS
from tests.unit.jobs.submission_fakes import (
    FORM,
    IMAGE,
    OWNER,
    FakeEvents,
    FakeExecutor,
    FakeQueue,
    MakeSubmission,
    list_jobs,
)

pytestmark = pytest.mark.anyio


async def test_a_success_is_recorded_and_published(
    make_submission: MakeSubmission, jobs: JobStore, events: FakeEvents
) -> None:
    """The returned job is the one in the table."""
    job = await make_submission().submit(CreateImageForm(prompt="a fox", n=2), OWNER, channel="openai")

    assert await list_jobs(jobs) == [job]
    assert (job.status, job.owner, job.channel, job.kind) == ("succeeded", "token:1", "openai", "generation")
    assert (job.engine, job.model, job.attempts, job.images) == ("openai", "m", 1, [IMAGE])
    assert job.finished_at is not None
    assert events.published == [(job.id, "succeeded")]


async def test_a_failure_is_recorded_and_published(
    make_submission: MakeSubmission, jobs: JobStore, executor: FakeExecutor, events: FakeEvents
) -> None:
    """The recorded error has everything that a response needs."""

    async def fail(_job: Job) -> None:
        raise EngineRateLimited("slow down", retry_after=17)

    executor.execution = fail

    job = await make_submission().submit(FORM, OWNER)

    assert await list_jobs(jobs) == [job]
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.detail, job.error.retry_after) == ("engine_rate_limited", "slow down", 17)
    assert events.published == [(job.id, "failed")]


async def test_an_unexpected_exception_is_a_failure_without_its_message(
    make_submission: MakeSubmission, jobs: JobStore, executor: FakeExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """The message may contain the caller's input, so it is neither recorded nor logged. The exception's type is."""

    async def raise_key_error(_job: Job) -> None:
        raise KeyError("secret-prompt")

    executor.execution = raise_key_error

    job = await make_submission().submit(FORM, OWNER)

    assert (await list_jobs(jobs))[0].status == "failed"
    assert job.error
    assert (job.error.status, job.error.may_have_cost) == (500, True)
    assert "secret" not in job.model_dump_json() + caplog.text
    assert "KeyError" in str([record.__dict__ for record in caplog.records])


async def test_images_are_returned_even_if_the_record_cannot_be_written(
    make_submission: MakeSubmission,
    settings: Settings,
    executor: FakeExecutor,
    events: FakeEvents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Images that are paid for are not lost because the table fails afterwards."""

    async def delete_table(job: Job) -> None:
        job.images = [IMAGE]
        aws_client("dynamodb").delete_table(TableName=settings.table)

    executor.execution = delete_table

    job = await make_submission().submit(FORM, OWNER)

    assert (job.status, job.images) == ("succeeded", [IMAGE])
    assert "was not recorded" in caplog.text
    assert events.published == []


async def test_the_record_is_written_after_short_failures_of_the_table(
    make_submission: MakeSubmission, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paid job does not look interrupted because of them."""
    finish, failures = jobs.finish, [1, 2, 3]

    async def finish_or_fail(job: Job, holder: str) -> bool:
        if failures:
            failures.pop()
            raise StorageUnavailable("the table fails")
        return await finish(job, holder)

    monkeypatch.setattr(jobs, "finish", finish_or_fail)

    job = await make_submission().submit(FORM, OWNER)

    stored = await jobs.get(job.id)
    assert stored
    assert (stored.status, stored.images) == ("succeeded", [IMAGE])


async def test_a_job_that_is_canceled_while_it_runs_stays_canceled(
    make_submission: MakeSubmission, jobs: JobStore, executor: FakeExecutor, events: FakeEvents
) -> None:
    """Its images are not shown."""

    async def cancel(job: Job) -> None:
        await jobs.end(job.model_copy(update={"status": "canceled"}), expected_status="running")
        job.images = [IMAGE]

    executor.execution = cancel

    job = await make_submission().submit(FORM, OWNER)

    assert (job.status, job.images) == ("canceled", [])
    assert events.published == []


@pytest.mark.parametrize("fails", [False, True])
async def test_an_inline_job_is_sent_to_the_worker_for_when_its_lease_expires(
    make_submission: MakeSubmission, queue: FakeQueue, fails: bool
) -> None:
    """If the function dies, the worker ends the job. A queue that fails does not stop the job."""
    queue.fails = fails

    job = await make_submission(queue_url="a queue", function_timeout_seconds=60).submit(FORM, OWNER)

    assert job.status == "succeeded"
    assert queue.delayed == ([] if fails else [(job.id, 61)])
    assert queue.owners == (set() if fails else {OWNER.owner})


async def test_a_silent_queue_does_not_delay_the_images_of_an_inline_job(
    make_submission: MakeSubmission, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has nothing left to do when the job's completion is recorded and published."""
    canceled = asyncio.Event()

    async def send(*_arguments: object, **_options: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            canceled.set()

    monkeypatch.setattr(queue, "send", send)

    async with asyncio.timeout(DEADLINE_SECONDS):
        job = await make_submission(queue_url="a queue").submit(FORM, OWNER)

    assert (job.status, canceled.is_set()) == ("succeeded", True)


async def test_a_job_whose_completion_was_not_recorded_is_left_to_the_worker(
    make_submission: MakeSubmission, jobs: JobStore, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the response waits until the queue has accepted the job's message."""
    queued = asyncio.Event()

    async def send(*_arguments: object, **_options: object) -> None:
        await asyncio.sleep(0.01)
        queued.set()

    async def fail(*_arguments: object) -> bool:
        raise StorageUnavailable("the table fails")

    monkeypatch.setattr(queue, "send", send)
    monkeypatch.setattr(jobs, "finish", fail)

    job = await make_submission(queue_url="a queue").submit(FORM, OWNER)

    assert (job.status, queued.is_set()) == ("succeeded", True)


async def test_a_settlement_that_takes_too_long_delays_the_images_by_seconds(
    settings: Settings, aws: Aws, make_submission: MakeSubmission, queue: FakeQueue
) -> None:
    """On a busy budget, it would take longer than API Gateway waits. The worker settles the job later."""
    await LimitStore(aws, settings).set_limits("token:1", Limits(max_jobs=5))
    limited = replace(OWNER, metered=True)

    with controlled_time(asyncio.get_running_loop()) as loop_time:
        busy = JobStore(BusySettlements(aws, loop_time), settings)
        job = await make_submission(busy, queue_url="q").submit(FORM, limited, remaining=lambda: 3.0)

    stored = await busy.get(job.id)
    assert stored
    assert (stored.status, stored.settled, stored.announced) == ("succeeded", False, False)
    assert [job_id for job_id, _ in queue.delayed] == [job.id]


class BusySettlements(Aws):
    """Lets settlements wait until three seconds have passed, and then for ever."""

    def __init__(self, aws: Aws, loop_time: LoopTime) -> None:
        super().__init__()
        self._aws = aws
        self._loop_time = loop_time

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        if operation == "TransactWriteItems" and "settled" in str(parameters):
            self._loop_time.advance(3 * time_limit_factor())
            await asyncio.Event().wait()
        return await self._aws.call(service, operation, **parameters)
