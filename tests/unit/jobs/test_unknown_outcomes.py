"""Writes of jobs of which it is not known whether the table has them, because all responses were lost."""

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.idempotency import Claim, claim_for
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.submission import Submission
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from tests.lossy_transport import LossyTransport
from tests.unit.jobs.submission_fakes import (
    FORM,
    OWNER,
    FakeEvents,
    FakeExecutor,
    FakeQueue,
    FakeTime,
    MakeSubmission,
    list_jobs,
)

pytestmark = pytest.mark.anyio

CLAIM = claim_for(OWNER.owner, FORM, "the key", None)
LONG = 30
"""More lost responses than all attempts of a request."""


@pytest.fixture
def transport() -> LossyTransport:
    return LossyTransport()


@pytest.fixture
def lossy_jobs(settings: Settings, transport: LossyTransport, time: FakeTime, embedded_aws: object) -> JobStore:
    """The jobs, as a function sees them that does not receive all responses."""
    return JobStore(Aws(lambda: transport, sleep=time.sleep), settings)


@pytest.fixture
def submission(make_submission: MakeSubmission, lossy_jobs: JobStore) -> Submission:
    return make_submission(jobs=lossy_jobs, queue_url="a queue", function_timeout_seconds=60)


@pytest.mark.parametrize("claim", [None, CLAIM], ids=["no key", "key"])
@pytest.mark.parametrize("queued", [False, True], ids=["inline", "queued"])
async def test_a_job_that_was_stored_without_a_response_is_withdrawn(
    submission: Submission,
    transport: LossyTransport,
    jobs: JobStore,
    events: FakeEvents,
    executor: FakeExecutor,
    claim: Claim | None,
    queued: bool,
) -> None:
    """The caller may send the request again. Otherwise the recovery would run the first job too, which costs twice."""
    transport.losses = 4

    with pytest.raises(StorageUnavailable) as raised:
        await submission.submit(FORM, OWNER, queue=queued, claim=claim)

    (stored,) = await list_jobs(jobs)
    assert (stored.status, raised.value.should_retry, executor.executed) == ("failed", True, [])
    assert events.published == [(stored.id, "failed")]
    again = await submission.submit(FORM, OWNER, queue=queued, claim=claim)
    assert (again.id != stored.id, again.status) == (True, "queued" if queued else "succeeded")


async def test_a_queued_job_that_cannot_be_withdrawn_may_cost(
    submission: Submission, transport: LossyTransport, jobs: JobStore
) -> None:
    """The recovery runs it, so clients do not repeat the request by themselves."""
    transport.losses = LONG

    with pytest.raises(StorageUnavailable) as raised:
        await submission.submit(FORM, OWNER, queue=True)

    transport.losses = 0
    assert (raised.value.may_have_cost, raised.value.should_retry) == (True, False)


async def test_an_inline_job_that_cannot_be_withdrawn_is_ended_by_the_worker(
    submission: Submission, transport: LossyTransport, queue: FakeQueue
) -> None:
    """It cost nothing. Repetitions of the request wait for its end, which comes when its lease is over."""
    transport.losses = LONG

    with pytest.raises(StorageUnavailable) as raised:
        await submission.submit(FORM, OWNER, claim=CLAIM)

    assert raised.value.should_retry
    assert [delay for _job, delay in queue.delayed] == [61]


async def test_a_lease_that_was_stored_without_a_response_is_recognized(
    lossy_jobs: JobStore, transport: LossyTransport, jobs: JobStore
) -> None:
    """Otherwise nobody would run the job, and it would end as interrupted although nothing was paid."""
    job = Job(id=new_job_id(), kind="generation", owner=OWNER.owner)
    await jobs.create(job)
    transport.losses = 5

    lease = await lossy_jobs.lease(job.id, "a", 60, spare=lambda: 60)

    assert lease
    assert (lease.job.attempts, lease.interrupted_engine) == (1, None)
