"""Creation and reading of job records."""

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import JobError, JobImage
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.jobs.job_records import START, Clock, leased_job, new_job, stored_item

pytestmark = pytest.mark.anyio


async def test_a_job_is_read_as_it_was_written(store: JobStore) -> None:
    """Every field is stored."""
    job = new_job(
        kind="edit",
        channel="sqs",
        request={"prompt": "a fox"},
        inputs=["inputs/1/0.png"],
        mask="inputs/1/mask.png",
        images=[JobImage(key="images/2026/11/22/x/0.png", content_type="image/png", width=1, height=2, seed=3)],
        warnings=["something"],
        usage={"total_tokens": 7},
        error=JobError(status=502, code="engine_unavailable", title="t", detail="d", field="image"),
    )

    await store.create(job)

    assert await store.get(job.id) == job


async def test_an_unknown_job_is_none(store: JobStore) -> None:
    """It cannot be read or leased."""
    assert await store.get(new_job_id()) is None
    assert await store.lease(new_job_id(), "a", 60) is None


async def test_a_new_job_is_queued(store: JobStore, settings: Settings) -> None:
    """Its item has the attributes of the indexes, and no lease."""
    job = new_job()

    await store.create(job)

    item = stored_item(settings, job)
    assert job.status == "queued"
    assert {name: item[name]["S"] for name in ("owner", "listed", "status")} == {
        "owner": "token:1",
        "listed": "job",
        "status": "queued",
    }
    assert "lease_holder" not in item


async def test_a_job_expires_after_its_retention_time(store: JobStore, settings: Settings) -> None:
    """DynamoDB removes the item by the attribute in the table's time-to-live setting."""
    job = new_job()
    await store.create(job)

    response = aws_client("dynamodb").describe_time_to_live(TableName=settings.table)
    name = response["TimeToLiveDescription"]["AttributeName"]
    assert float(stored_item(settings, job)[name]["N"]) == START + settings.job_retention_days * 86_400


async def test_a_job_is_not_removed_before_its_end(aws: Aws, settings: Settings) -> None:
    """However short the retention is: what is held for it would never be given back."""
    store = JobStore(aws, settings.model_copy(update={"job_retention_days": 1}), clock=Clock())
    job = new_job()
    await store.create(job, lease_seconds=60, holder="a")
    open_until = float(stored_item(settings, job)["expires_at"]["N"])

    job.status = "succeeded"
    await store.finish(job, "a")

    assert open_until == START + 30 * 86_400
    assert float(stored_item(settings, job)["expires_at"]["N"]) == START + 86_400


async def test_a_job_created_with_a_lease_is_running(store: JobStore, settings: Settings) -> None:
    """Its first attempt has started."""
    job = await leased_job(store, "a", 60)

    item = stored_item(settings, job)
    assert (job.status, job.attempts) == ("running", 1)
    assert job.started_at is not None
    assert (item["lease_holder"]["S"], float(item["lease_until"]["N"])) == ("a", START + 60)


async def test_a_second_job_with_the_same_id_is_not_created(store: JobStore) -> None:
    """The id of the existing job is returned, and the job is unchanged."""
    job = new_job(request={"prompt": "first"})
    second = new_job(id=job.id, request={"prompt": "second"})

    assert await store.create(job) is None
    assert await store.create(second, lease_seconds=60, holder="b") == job.id
    assert await store.get(job.id) == job


async def test_every_call_reports_a_table_that_fails(settings: Settings, aws: Aws) -> None:
    """The error has the code of DynamoDB."""
    store = JobStore(aws, settings.model_copy(update={"table": "no-such-table"}))
    job = new_job()

    for call in (
        store.create(job),
        store.create(job, claim=Claim("retry#token:1#x", "body", 600)),
        store.get(job.id),
        store.lease(job.id, "a", 60),
        store.finish(job, "a"),
        store.end(job, expected_status="queued"),
        store.page(owner=None),
    ):
        with pytest.raises(StorageUnavailable, match="ResourceNotFoundException") as caught:
            await call
        assert caught.value.code == "storage_unavailable"
