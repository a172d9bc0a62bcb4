"""Writes whose first answer is lost on its way: they are sent again, and know what they have written themselves."""

from typing import Any

import httpx
import pytest

from image_gateway.aws import Aws
from image_gateway.aws.locks import Locks
from image_gateway.ids import new_job_id
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio


class Lossy(httpx.AsyncBaseTransport):
    """Has each request done, and loses the answers to the next `losing` of those that write."""

    losing = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncHTTPTransport() as transport:
            response = await transport.handle_async_request(request)
            content = await response.aread()
        if self.losing and "Get" not in request.headers["x-amz-target"]:
            self.losing -= 1
            raise httpx.ReadError("connection reset")
        return httpx.Response(response.status_code, headers=response.headers, content=content)


async def _at_once(_seconds: float) -> None:
    """No time passes."""


@pytest.fixture
def line() -> Lossy:
    return Lossy()


@pytest.fixture
def aws_by(line: Lossy, embedded_aws: object) -> Aws:
    """AWS, reached by that line."""
    return Aws(lambda: line, sleep=_at_once)


@pytest.fixture
def store(settings: Settings, aws_by: Aws) -> JobStore:
    return JobStore(aws_by, settings)


def new(**fields: Any) -> Job:
    return Job.model_validate({"id": new_job_id(), "kind": "generation", "owner": "token:1", **fields})


async def test_a_job_that_was_stored_is_new(store: JobStore, line: Lossy) -> None:
    """It is not taken for an earlier one, of which nothing more would be told."""
    line.losing = 1
    assert await store.create(new()) is None


async def test_a_job_that_was_taken_up_is_ones_own(store: JobStore, line: Lossy) -> None:
    """Else nobody would do it, and it would end as interrupted without ever having begun."""
    job = new()
    await store.create(job)
    line.losing = 1
    lease = await store.lease(job.id, "a", 60)
    assert lease is not None
    assert await store.lease(job.id, "b", 60) is None


async def test_a_job_that_was_put_back_is_put_back(store: JobStore, line: Lossy) -> None:
    """Else no message would be sent for it, and it would stay queued for ever."""
    job = new()
    await store.create(job, lease_seconds=60, holder="a")
    job.status = "queued"
    line.losing = 1
    assert await store.finish(job, "a")
    assert (await store.get(job.id)) == job


@pytest.mark.parametrize("batch", [None, "01a20491-ab0f-7093-a163-39a8e11f4e95"])
async def test_an_end_that_was_stored_stands(store: JobStore, line: Lossy, batch: str | None) -> None:
    """Also when all answers are lost and the holder tries once more: its event is told then."""
    job = new(batch=batch, line=1 if batch else None)
    await store.create(job, lease_seconds=60, holder="a")
    job.status = "succeeded"
    line.losing = 1
    assert await store.finish(job, "a")
    assert await store.finish(job, "a")
    job.warnings = ["another end"]
    assert not await store.finish(job, "a")


async def test_a_cancellation_that_was_stored_stands(store: JobStore, line: Lossy) -> None:
    """Else its own caller would be told that the job had been canceled by somebody."""
    job = new()
    await store.create(job)
    job.status = "canceled"
    line.losing = 1
    assert await store.end(job, expected_status="queued")


async def test_a_lock_that_was_taken_is_held(settings: Settings, aws_by: Aws, line: Lossy) -> None:
    """Else its place on an engine would be lost for as long as a worker may run."""
    locks = Locks(aws_by, settings, sleep=_at_once)
    line.losing = 1
    async with locks.hold("engine", max_wait_seconds=-1):
        pass
    async with locks.hold("engine", max_wait_seconds=-1):
        pass
