"""When an identical request is a client's own retry, and when it is a person's wish."""

from datetime import timedelta
from typing import Any

import pytest

from image_gateway.errors import EngineError, EngineRejected, EngineUnavailable
from image_gateway.jobs.unmarked_repetitions import is_retry_of
from image_gateway.models.jobs import Job, utc_now
from tests.unit.jobs.job_records import new_job

NOW = utc_now()


def job(*, age: float, ended: float | None = None, error: EngineError | None = None) -> Job:
    """Return a job that was created `age` seconds ago, and that ended `ended` seconds ago."""
    fields: dict[str, Any] = {"created_at": NOW - timedelta(seconds=age), "status": "running"}
    if ended is not None:
        fields |= {"status": "succeeded", "finished_at": NOW - timedelta(seconds=ended)}
    made = new_job(**fields)
    if error:
        made.fail(error)
    return made


COSTLY, FREE = EngineUnavailable("broke off", may_have_cost=True), EngineUnavailable("refused")
REFUSED = EngineRejected("no image was saved", may_have_cost=True)


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        (job(age=9, ended=2, error=COSTLY), True),
        (job(age=60, ended=31, error=COSTLY), False),
        (job(age=9, ended=2, error=FREE), False),
        (job(age=9, ended=2, error=REFUSED), False),
        (job(age=9), False),
        (job(age=230), False),
        (job(age=251), True),
        (job(age=9, ended=2), False),
        (job(age=260, ended=5), True),
        (job(age=400, ended=120), False),
    ],
    ids=[
        "just failed",
        "failed a while ago",
        "failed at no cost",
        "refused with a 4xx, which no client repeats by itself",
        "at work",
        "its caller still waits",
        "its caller got a 504",
        "succeeded",
        "succeeded after the 504 of its caller",
        "succeeded a while ago",
    ],
)
def test_a_retry_follows_an_error_response(earlier: Job, expected: bool) -> None:
    """That is one about a failure that may have cost, or the 504 after the last redirect."""
    assert is_retry_of(earlier, NOW) is expected
