"""Errors of jobs that only the operator can end."""

from image_gateway.errors import EngineUnavailable
from image_gateway.jobs.idempotency import should_be_retried
from tests.unit.jobs.job_records import new_job


def test_a_permanent_error_is_recorded_and_its_request_may_be_sent_again() -> None:
    """The response asks clients not to repeat it; one who does, after the operator has acted, gets a new job."""
    job = new_job()
    job.fail(EngineUnavailable("its certificate has expired", permanent=True))

    error = job.to_error()

    assert error.permanent
    assert not error.should_retry
    assert should_be_retried(job)
    job.fail(EngineUnavailable("its certificate has expired", permanent=True, may_have_cost=True))
    assert not should_be_retried(job)
