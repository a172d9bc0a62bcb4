"""Job records that a newer version has stored, after a rollback."""

import json

import boto3
import pytest

from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings
from tests.unit.jobs.job_records import new_job, stored_item

pytestmark = pytest.mark.anyio


async def stored_by_newer_version(store: JobStore, settings: Settings) -> Job:
    """Store a job with a channel and a field that this version does not know."""
    job = new_job()
    await store.create(job)
    item = stored_item(settings, job)
    newer = {**json.loads(item["job"]["S"]), "channel": "carrier-pigeon", "cost": {"dollars": "0.04"}}
    item["job"]["S"] = json.dumps(newer)
    boto3.client("dynamodb").put_item(TableName=settings.table, Item=item)
    return job


async def test_a_job_of_an_unknown_channel_is_read_and_listed(store: JobStore, settings: Settings) -> None:
    """One job cannot make a page of jobs an error."""
    job = await stored_by_newer_version(store, settings)

    read = await store.get(job.id)
    listed, _cursor = await store.page(owner=None)

    assert read
    assert (read.channel, [item.id for item in listed]) == ("carrier-pigeon", [job.id])


async def test_unknown_fields_of_a_job_are_kept(store: JobStore, settings: Settings) -> None:
    """When the newer version is deployed again, it finds them in a job that this version has run."""
    job = await stored_by_newer_version(store, settings)

    lease = await store.lease(job.id, "a", 60, "openai")
    assert lease
    lease.job.status = "succeeded"
    assert await store.finish(lease.job, "a")

    stored = json.loads(stored_item(settings, job)["job"]["S"])
    assert (stored["status"], stored["cost"]) == ("succeeded", {"dollars": "0.04"})
