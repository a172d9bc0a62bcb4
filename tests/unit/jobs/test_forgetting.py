"""Forgetting end users, in bounded time."""

import pytest

from image_gateway.aws import Aws
from image_gateway.jobs.forgetting import Forgetting
from image_gateway.jobs.forgotten import ForgottenEndUsers
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio

LABEL = f"eu-{'a' * 32}"


async def test_many_jobs_are_forgotten_by_several_calls(aws: Aws, settings: Settings) -> None:
    """A call that has no time left says so, and the next one goes on."""
    jobs = JobStore(aws, settings)
    for number in range(60):
        job = Job(id=f"01a20491-ab0f-7093-a163-{number:012}", kind="generation", owner="token:1", end_user=LABEL)
        job.status = "succeeded"
        await jobs.create(job)
    forgetting = Forgetting(aws, settings, ForgottenEndUsers(aws, settings))
    left = [1.0, 1.0, 0.0]

    first = await forgetting.forget([LABEL], lambda: left.pop(0))
    second = await forgetting.forget([LABEL], lambda: 1.0)

    assert (first.jobs, first.complete) == (50, False)
    assert (second.jobs, second.complete) == (10, True)
