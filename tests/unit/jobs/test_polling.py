"""Waiting for jobs."""

import pytest

from image_gateway.jobs.polling import look_interval
from image_gateway.jobs.store import JobStore
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.silent_server import FACTOR, seconds_until_done, silent_server
from tests.unit.jobs.submission_fakes import FORM, OWNER, FakeTime, MakeSubmission

pytestmark = pytest.mark.anyio


async def test_waiting_ends_when_the_job_has_ended(
    make_submission: MakeSubmission, jobs: JobStore, time: FakeTime
) -> None:
    """Polling delays the caller by one interval at most."""
    submission = make_submission(queue_url="a queue")
    job = await submission.submit(FORM, OWNER, queue=True)

    async def end_after_five_seconds(seconds: float) -> None:
        if seconds >= 5:
            await jobs.end(job.model_copy(update={"status": "succeeded"}), expected_status="queued")

    time.after_sleep = end_after_five_seconds

    ended = await submission.wait(job, 25)

    assert ended.status == "succeeded"
    assert time.seconds < 5 + 0.45


async def test_waiting_ends_after_its_maximum(make_submission: MakeSubmission, time: FakeTime) -> None:
    """A job that takes longer is returned as it is then."""
    submission = make_submission(queue_url="a queue")
    job = await submission.submit(FORM, OWNER, queue=True)

    assert (await submission.wait(job, 25)).status == "queued"
    assert time.seconds == pytest.approx(25)
    assert max(time.sleeps) <= 1
    assert len(time.sleeps) <= 50


@pytest.mark.parametrize(
    ("seconds", "max_looks", "max_delay"),
    [(0.3, 3, 0.12), (1, 8, 0.2), (2.5, 15, 0.32), (5, 22, 0.45), (10, 31, 0.64), (25, 50, 1.0), (60, 78, 1.55)],
)
def test_looks_become_rarer_with_the_age_of_a_job(seconds: float, max_looks: int, max_delay: float) -> None:
    """A job that ends after `seconds` is looked at this often, and its end is seen this much later at most."""
    looks, age, delays = 0, 0.0, []

    while age < seconds:
        delays.append(look_interval(age))
        age += delays[-1]
        looks += 1

    assert looks <= max_looks
    assert max(delays) <= max_delay


async def test_a_job_that_has_ended_is_returned_at_once(make_submission: MakeSubmission, time: FakeTime) -> None:
    """Its record is not read again."""
    submission = make_submission()
    job = await submission.submit(FORM, OWNER)

    assert await submission.wait(job, 25) == job
    assert time.sleeps == []


async def test_waiting_continues_while_the_table_fails(
    make_submission: MakeSubmission, settings: Settings, time: FakeTime
) -> None:
    """The job does not depend on who polls it."""
    submission = make_submission(queue_url="a queue")
    job = await submission.submit(FORM, OWNER, queue=True)
    aws_client("dynamodb").delete_table(TableName=settings.table)

    assert await submission.wait(job, 2) == job
    assert time.seconds == pytest.approx(2)


async def test_a_silent_table_delays_the_end_of_waiting_by_two_seconds(
    make_submission: MakeSubmission, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API Gateway cuts off the request after 30 s, and the wait may take 25 s of them."""
    submission = make_submission(queue_url="a queue")
    job = await submission.submit(FORM, OWNER, queue=True)
    async with silent_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        monkeypatch.delenv(FACTOR)
        seconds = await seconds_until_done(submission.wait(job, 0.04))

    assert 2 <= seconds < 3
