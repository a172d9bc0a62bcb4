"""Job records that a newer version has stored, after a rollback."""

import json
from typing import Any

import pytest

from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.jobs.job_records import new_job, stored_item

pytestmark = pytest.mark.anyio

NEWER: dict[str, Any] = {
    "kind": "variation",
    "channel": "carrier-pigeon",
    "response_format": "stream",
    "postage": {"stamps": "2"},
}


async def stored_by_newer_version(store: JobStore, settings: Settings, status: str = "queued") -> Job:
    """Store a job with a field, and values of other fields, that this version does not know."""
    job = new_job()
    await store.create(job)
    item = stored_item(settings, job)
    item["job"]["S"] = json.dumps(json.loads(item["job"]["S"]) | NEWER)
    item["status"]["S"] = status
    aws_client("dynamodb").put_item(TableName=settings.table, Item=item)
    return job


def stored_content(settings: Settings, job: Job) -> dict[str, Any]:
    """Return those stored fields of a job that the newer version has added or changed."""
    content = json.loads(stored_item(settings, job)["job"]["S"])
    return {name: content.get(name) for name in NEWER}


@pytest.mark.parametrize("status", ["queued", "paused"])
async def test_a_job_of_an_unknown_kind_and_status_is_read_and_listed(
    store: JobStore, settings: Settings, status: str
) -> None:
    """One job cannot make a page of jobs an error."""
    job = await stored_by_newer_version(store, settings, status)

    read = await store.get(job.id)
    listed, _cursor = await store.page(owner=None)

    assert read
    assert (read.kind, read.channel, read.status) == ("variation", "carrier-pigeon", status)
    assert [item.id for item in listed] == [job.id]


async def test_unknown_fields_and_values_of_a_job_are_kept(store: JobStore, settings: Settings) -> None:
    """When the newer version is deployed again, it finds them in a job that this version has changed."""
    job = await stored_by_newer_version(store, settings)

    lease = await store.lease(job.id, "a", 60, "openai")
    assert lease
    lease.job.status = "succeeded"
    assert await store.finish(lease.job, "a")

    assert stored_item(settings, job)["status"]["S"] == "succeeded"
    assert stored_content(settings, job) == NEWER


async def test_a_job_with_an_unknown_status_is_not_leased(store: JobStore, settings: Settings) -> None:
    """Only the newer version knows what may become of it."""
    job = await stored_by_newer_version(store, settings, "paused")

    assert await store.lease(job.id, "a", 60, "openai") is None
    assert stored_item(settings, job)["status"]["S"] == "paused"


def test_an_unknown_error_is_shown_as_it_was_recorded() -> None:
    """Its class does not exist in this version; its status, code and title are in the job."""
    error = {"status": 402, "code": "out_of_paper", "title": "Out of paper", "detail": "Nothing can be printed"}
    job = new_job(status="failed", error=error)

    shown = job.to_error()

    assert (shown.status, shown.code, shown.title, shown.detail) == tuple(error.values())
    assert not shown.should_retry
