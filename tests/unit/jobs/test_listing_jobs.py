"""Pages of jobs, and their cursors."""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import InvalidRequest
from image_gateway.ids import derived_job_id
from image_gateway.jobs.store import JobStore
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.jobs.job_records import new_job

pytestmark = pytest.mark.anyio


async def store_jobs(store: JobStore, count: int, **fields: Any) -> list[str]:
    """Store jobs that were created a minute apart, and return their ids, the newest first."""
    first = datetime(2026, 11, 22, tzinfo=UTC)
    jobs = [
        new_job(id=derived_job_id(first + timedelta(minutes=number), str(fields)), **fields) for number in range(count)
    ]
    for start in range(0, count, 25):
        writes: Any = [{"PutRequest": {"Item": store._item(job)}} for job in jobs[start : start + 25]]
        aws_client("dynamodb").batch_write_item(RequestItems={store._table.name: writes})
    return [job.id for job in reversed(jobs)]


async def list_pages(store: JobStore, **options: Any) -> list[list[str]]:
    """Return the ids on each page of a list."""
    pages: list[list[str]] = []
    cursor = None
    while True:
        jobs, cursor = await store.page(cursor=cursor, **options)
        pages.append([job.id for job in jobs])
        if cursor is None:
            return pages


async def test_a_list_starts_with_the_newest_job(store: JobStore) -> None:
    """There is a list for each owner, and one of all jobs."""
    first_owner = await store_jobs(store, 3, owner="token:1")
    second_owner = await store_jobs(store, 2, owner="token:2")

    assert await list_pages(store, owner="token:1") == [first_owner]
    assert await list_pages(store, owner="token:2") == [second_owner]
    assert await list_pages(store, owner="token:3") == [[]]
    assert await list_pages(store, owner=None) == [sorted(first_owner + second_owner, reverse=True)]


async def test_other_items_of_the_table_are_not_listed(store: JobStore, settings: Settings) -> None:
    """Tokens, locks and claims are in the same table."""
    aws_client("dynamodb").put_item(TableName=settings.table, Item={"pk": {"S": "lock#x"}, "owner": {"S": "token:1"}})

    assert await list_pages(store, owner="token:1") == [[]]
    assert await list_pages(store, owner=None) == [[]]


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 6), (2, [2] * 3), (4, [4, 2]), (6, [6]), (100, [6])])
async def test_a_list_has_pages_of_the_requested_size(store: JobStore, limit: int, sizes: list[int]) -> None:
    """No page is empty, and each job is listed exactly once."""
    ids = await store_jobs(store, 6)

    pages = await list_pages(store, owner="token:1", limit=limit)

    assert [len(page) for page in pages] == sizes
    assert [job_id for page in pages for job_id in page] == ids


@pytest.mark.parametrize("owner", ["token:1", None])
async def test_a_list_with_a_status_has_full_pages(store: JobStore, owner: str | None) -> None:
    """Jobs with another status between them make no difference."""
    await store_jobs(store, 40, status="succeeded")
    failed = await store_jobs(store, 5, status="failed")
    await store_jobs(store, 40, status="canceled")

    pages = await list_pages(store, owner=owner, status="failed", limit=2)

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [job_id for page in pages for job_id in page] == failed
    assert await list_pages(store, owner=owner, status="queued") == [[]]


@pytest.mark.parametrize("owner", ["token:1", None])
async def test_a_thousand_jobs_are_listed_once_each_in_order(store: JobStore, owner: str | None) -> None:
    """All pages are full."""
    ids = await store_jobs(store, 1_000)

    pages = await list_pages(store, owner=owner, limit=100)

    assert [job_id for page in pages for job_id in page] == ids
    assert len(pages) == 10


async def test_new_jobs_do_not_shift_the_pages_of_a_list(store: JobStore) -> None:
    """A cursor is a position among the jobs, not a count of them."""
    ids = await store_jobs(store, 4)
    _first, cursor = await store.page(owner="token:1", limit=2)
    await store.create(new_job())

    second_page, _ = await store.page(owner="token:1", limit=2, cursor=cursor)

    assert [job.id for job in second_page] == ids[2:]


@pytest.mark.parametrize(
    "cursor", ["", "x", "ü", "e30=", "IngiCg==", "WyJhIl0=", "bnVsbA==", "Ilx1ZDgwMCI=", "W1tb" * 1_500, "A" * 4_000]
)
async def test_an_invalid_cursor_is_an_error(store: JobStore, cursor: str) -> None:
    """The error has the parameter's name."""
    with pytest.raises(InvalidRequest, match="cursor") as caught:
        await store.page(owner="token:1", cursor=cursor)

    assert caught.value.field == "cursor"


async def test_a_cursor_of_another_owner_lists_only_ones_own_jobs(store: JobStore) -> None:
    """A cursor is only a position."""
    await store_jobs(store, 3, owner="token:2")
    _jobs, cursor = await store.page(owner="token:2", limit=1)

    assert cursor is not None
    assert await store.page(owner="token:1", cursor=cursor) == ([], None)


async def test_the_number_of_jobs_read_for_a_page_is_limited(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages for a rare status can be empty and have a next page. All jobs are found in the end."""
    monkeypatch.setattr("image_gateway.jobs.reader._READ_LIMIT", 10)
    monkeypatch.setattr("image_gateway.jobs.reader._MAX_QUERIES", 2)
    failed = await store_jobs(store, 1, status="failed")
    await store_jobs(store, 50, status="succeeded")

    pages = await list_pages(store, owner="token:1", status="failed")

    assert pages == [[], [], failed]


async def test_a_page_has_the_jobs_as_they_are_now(store: JobStore) -> None:
    """The index has only keys, by which the jobs are read. So a job that was just changed is not listed as before."""
    (job_id,) = await store_jobs(store, 1)
    assert (await store.lease(job_id, "a", 60)) is not None

    running, _cursor = await store.page(owner="token:1", status="running")
    queued, _cursor = await store.page(owner="token:1", status="queued")

    assert ([job.id for job in running], queued) == ([job_id], [])


async def test_jobs_that_are_removed_while_they_are_listed_are_left_out(store: JobStore, settings: Settings) -> None:
    """The index has their keys for a moment longer. The page is filled from the next jobs, and the cursor is right."""
    ids = await store_jobs(store, 7)
    dynamodb = aws_client("dynamodb")
    call = store._table._aws.call

    class RemovingAws(Aws):
        """Removes two jobs after the first query."""

        removals: ClassVar[list[str]] = [ids[1], ids[2]]

        async def call(self, service: str, operation: str, **parameters: Any) -> Any:
            response = await call(service, operation, **parameters)
            while operation == "Query" and self.removals:
                pk = {"S": f"job#{self.removals.pop()}"}
                dynamodb.delete_item(TableName=settings.table, Key={"pk": pk})
            return response

    pages = await list_pages(JobStore(RemovingAws(), settings), owner="token:1", limit=3)

    assert pages == [[ids[0], ids[3], ids[4]], [ids[5], ids[6]]]
