"""Requests that are sent more than once."""

from dataclasses import replace
from typing import Any

import pytest

from image_gateway.engines.protocol import InputImage
from image_gateway.errors import (
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    InvalidRequest,
)
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.store import JobStore
from image_gateway.models.forms import EditImageForm
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.jobs.submission_fakes import (
    FORM,
    OWNER,
    FakeConfigs,
    FakeExecutor,
    FakeQueue,
    MakeSubmission,
    given_inputs,
    list_jobs,
    succeed,
)

pytestmark = pytest.mark.anyio

CLAIM = Claim("idempotency#token:1#x", "body", 600)
INPUT = InputImage(b"input", "image/jpeg", 1, 1)


@pytest.mark.parametrize("is_queued", [False, True])
async def test_a_repeated_request_gets_the_first_job(
    make_submission: MakeSubmission, jobs: JobStore, executor: FakeExecutor, queue: FakeQueue, *, is_queued: bool
) -> None:
    """Nothing is executed or queued for it."""
    submission = make_submission(queue_url="a queue")

    first = await submission.submit(FORM, OWNER, queue=is_queued, claim=CLAIM)
    second = await submission.submit(FORM, OWNER, queue=is_queued, claim=CLAIM)

    assert second == first
    assert await list_jobs(jobs) == [first]
    assert len(executor.executed) + len(queue.sent) == 1


async def test_a_repeated_request_whose_job_has_expired_is_a_new_job(
    make_submission: MakeSubmission, settings: Settings
) -> None:
    """A claim can exist longer than its job."""
    first = await make_submission().submit(FORM, OWNER, claim=CLAIM)
    aws_client("dynamodb").delete_item(TableName=settings.table, Key={"pk": {"S": f"job#{first.id}"}})

    second = await make_submission().submit(FORM, OWNER, claim=CLAIM)

    assert second.id != first.id
    assert second.status == "succeeded"


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (EngineRateLimited("slow down", retry_after=1), True),
        (EngineUnavailable("connection refused"), True),
        (EngineUnavailable("nonsense", may_have_cost=True), False),
        (EngineRejected("no such size"), False),
        (EngineTimeout("too slow", may_have_cost=True), False),
    ],
    ids=["rate limited", "unreachable", "unusable response, paid", "rejected", "timeout, paid"],
)
async def test_a_repeated_request_is_a_new_job_if_the_first_failed_temporarily_without_cost(
    make_submission: MakeSubmission, executor: FakeExecutor, error: GatewayError, *, is_retried: bool
) -> None:
    """After any other failure, it gets the failed job."""

    async def fail(_job: Job) -> None:
        raise error

    executor.execution = fail
    first = await make_submission().submit(FORM, OWNER, claim=CLAIM)
    executor.execution = succeed

    second = await make_submission().submit(FORM, OWNER, claim=CLAIM)

    assert (second.id != first.id) is is_retried
    assert second.status == ("succeeded" if is_retried else "failed")


@pytest.mark.parametrize("is_queued", [False, True])
async def test_a_job_whose_record_was_written_twice_is_executed(
    make_submission: MakeSubmission,
    executor: FakeExecutor,
    queue: FakeQueue,
    jobs: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    is_queued: bool,
) -> None:
    """If the response to a write is lost, the write is sent again and finds its own job."""
    create = jobs.create

    async def create_twice(job: Job, **options: Any) -> str | None:
        await create(job, **options)
        return await create(job, **options)

    monkeypatch.setattr(jobs, "create", create_twice)

    job = await make_submission(queue_url="q").submit(FORM, OWNER, queue=is_queued)

    stored = await jobs.get(job.id)
    assert stored
    assert stored.status == ("queued" if is_queued else "succeeded")
    assert (len(executor.executed), len(queue.sent)) == ((0, 1) if is_queued else (1, 0))


async def test_a_repeated_request_reads_no_inputs(make_submission: MakeSubmission) -> None:
    """Its job is found before anything is checked or fetched."""
    form = EditImageForm(prompt="a hat", image="x")
    first = await make_submission().submit(form, OWNER, claim=CLAIM, load_inputs=given_inputs(INPUT))

    async def fail() -> Any:
        raise AssertionError("the inputs are read again")

    assert await make_submission().submit(form, OWNER, claim=CLAIM, load_inputs=fail) == first


async def test_a_repeated_request_gets_its_job_when_generation_is_disabled(
    make_submission: MakeSubmission, configs: FakeConfigs
) -> None:
    """The configuration may have changed since the first request."""
    first = await make_submission().submit(FORM, OWNER, claim=CLAIM)
    configs.disabled = True

    assert await make_submission().submit(FORM, OWNER, claim=CLAIM) == first


async def test_the_key_of_another_request_is_refused_before_inputs_are_read(make_submission: MakeSubmission) -> None:
    """The caller's mistake is reported whether the inputs can be read or not."""
    await make_submission().submit(FORM, OWNER, claim=CLAIM)

    async def fail() -> Any:
        raise AssertionError("the inputs are read")

    with pytest.raises(InvalidRequest, match="another request"):
        await make_submission().submit(FORM, OWNER, claim=replace(CLAIM, body="other"), load_inputs=fail)
