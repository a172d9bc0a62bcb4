"""Jobs in the table, against moto's server: every way from one state to another, and lists of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.errors import InvalidRequest, StorageUnavailable
from image_gateway.ids import derived_job_id, new_job_id
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.record_size import TRUNCATED
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job, JobError, JobImage, Status
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio

START = 1_800_000_000.0


class Clock:
    """Seconds since 1970 that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(settings: Settings, aws: Aws, clock: Clock) -> JobStore:
    return JobStore(aws, settings, clock=clock)


def new(**fields: Any) -> Job:
    return Job.model_validate({"id": new_job_id(), "kind": "generation", "owner": "token:1", **fields})


def item(settings: Settings, job: Job) -> dict[str, Any]:
    """What the table holds of a job."""
    found = boto3.client("dynamodb").get_item(TableName=settings.table, Key={"pk": {"S": f"job#{job.id}"}})
    return found["Item"]


async def running(store: JobStore, holder: str = "a", seconds: float = 60) -> Job:
    """A job that `holder` has leased."""
    job = new()
    await store.create(job, lease_seconds=seconds, holder=holder)
    return job


async def test_a_job_is_read_back_whole(store: JobStore) -> None:
    """Everything that a job remembers survives the table."""
    job = new(
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
    """There is nothing to read or to take up."""
    assert await store.get(new_job_id()) is None
    assert await store.lease(new_job_id(), "a", 60) is None


async def test_a_new_job_is_queued(store: JobStore, settings: Settings) -> None:
    """It has no holder; indexes, state and end of life stand beside it as attributes."""
    job = new()

    await store.create(job)

    kept = item(settings, job)
    assert job.status == "queued"
    assert {name: kept[name]["S"] for name in ("owner", "listed", "status")} == {
        "owner": "token:1",
        "listed": "job",
        "status": "queued",
    }
    assert "lease_holder" not in kept


async def test_a_job_is_forgotten_after_its_days(store: JobStore, settings: Settings) -> None:
    """DynamoDB removes it by the attribute that the table's time to live names."""
    job = new()
    await store.create(job)

    described = boto3.client("dynamodb").describe_time_to_live(TableName=settings.table)
    name = described["TimeToLiveDescription"]["AttributeName"]
    assert float(item(settings, job)[name]["N"]) == START + settings.job_retention_days * 86_400


async def test_a_job_with_a_lease_runs_from_the_start(store: JobStore, settings: Settings) -> None:
    """Its first attempt has begun, and it is its holder's for that time."""
    job = await running(store, "a", 60)

    kept = item(settings, job)
    assert (job.status, job.attempts) == ("running", 1)
    assert job.started_at is not None
    assert (kept["lease_holder"]["S"], float(kept["lease_until"]["N"])) == ("a", START + 60)


async def test_a_job_is_created_once(store: JobStore) -> None:
    """A second one of the same id gets the first one's id and changes nothing."""
    job = new(request={"prompt": "first"})
    again = new(id=job.id, request={"prompt": "second"})

    assert await store.create(job) is None
    assert await store.create(again, lease_seconds=60, holder="b") == job.id
    assert await store.get(job.id) == job


async def test_a_queued_job_is_taken_up(store: JobStore, settings: Settings) -> None:
    """It runs, one attempt more, for the engine named; nothing was lost before."""
    job = new()
    await store.create(job)

    lease = await store.lease(job.id, "a", 60, "comfyui")

    assert lease is not None
    assert (lease.job.status, lease.job.attempts, lease.job.engine, lease.interrupted_engine) == ("running", 1, "comfyui", None)
    assert await store.get(job.id) == lease.job
    assert item(settings, job)["lease_holder"]["S"] == "a"


async def test_a_running_job_is_not_taken_from_its_holder(store: JobStore, clock: Clock) -> None:
    """Until the lease has run out."""
    job = await running(store, "a", 60)
    clock.seconds += 60

    assert await store.lease(job.id, "b", 60) is None


async def test_a_job_whose_holder_died_is_taken_up_again(store: JobStore, clock: Clock) -> None:
    """After the lease another has it, and learns which engine it was on."""
    job = new()
    await store.create(job)
    await store.lease(job.id, "a", 60, "openai")
    clock.seconds += 62

    lease = await store.lease(job.id, "b", 60, "comfyui")

    assert lease is not None
    assert (lease.job.attempts, lease.interrupted_engine, lease.job.engine) == (2, "openai", "comfyui")


@pytest.mark.parametrize("status", ["succeeded", "failed", "canceled"])
async def test_a_job_that_has_ended_is_never_taken_up(store: JobStore, clock: Clock, status: Status) -> None:
    """No lease and no time brings it back."""
    job = await running(store, "a")
    job.status = status
    await store.finish(job, "a")
    clock.seconds += 10_000

    assert await store.lease(job.id, "b", 60) is None
    assert await store.get(job.id) == job


async def test_of_twenty_who_want_a_job_one_gets_it(store: JobStore) -> None:
    """A message that is delivered many times runs once."""
    job = new()
    await store.create(job)

    leases = await asyncio.gather(*(store.lease(job.id, f"holder {number}", 60) for number in range(20)))

    assert len([lease for lease in leases if lease]) == 1
    kept = await store.get(job.id)
    assert kept is not None
    assert kept.attempts == 1


async def test_of_twenty_who_want_a_dead_holders_job_one_gets_it(store: JobStore, clock: Clock) -> None:
    """The lease that ran out is given on once."""
    job = await running(store, "a", 60)
    clock.seconds += 62

    leases = await asyncio.gather(*(store.lease(job.id, f"holder {number}", 60) for number in range(20)))

    assert len([lease for lease in leases if lease]) == 1


async def test_its_holder_ends_a_job(store: JobStore, settings: Settings) -> None:
    """The end and its time are kept, the lease is gone, and so is the way back."""
    job = await running(store, "a")
    job.status = "succeeded"

    assert await store.finish(job, "a")

    kept = await store.get(job.id)
    assert kept == job
    assert kept.finished_at is not None
    assert "lease_holder" not in item(settings, job)
    job.status = "failed"
    assert not await store.finish(job, "a")


async def test_nobody_else_ends_a_job(store: JobStore) -> None:
    """Who is late learns that the job has gone on without them."""
    job = await running(store, "a")
    late = job.model_copy(update={"status": "succeeded"})

    assert not await store.finish(late, "b")
    assert await store.get(job.id) == job


async def test_a_holder_whose_job_was_taken_over_is_late(store: JobStore, clock: Clock) -> None:
    """The end of the first attempt does not replace the second one's."""
    job = await running(store, "a", 60)
    clock.seconds += 62
    lease = await store.lease(job.id, "b", 60)
    assert lease is not None
    job.status = "failed"

    assert not await store.finish(job, "a")
    lease.job.status = "succeeded"
    assert await store.finish(lease.job, "b")


async def test_a_job_can_be_put_back(store: JobStore) -> None:
    """It is queued again, has no end, and its attempts go on being counted."""
    job = await running(store, "a")
    job.status = "queued"

    assert await store.finish(job, "a")

    lease = await store.lease(job.id, "b", 60)
    assert lease is not None
    assert (lease.job.attempts, lease.job.finished_at, lease.interrupted_engine) == (2, None, None)


async def test_a_job_that_nobody_holds_is_ended(store: JobStore) -> None:
    """A cancellation ends a queued job, and no worker takes it up any more."""
    job = new()
    await store.create(job)
    job.status = "canceled"

    assert await store.end(job, expected_status="queued")

    assert await store.lease(job.id, "a", 60) is None
    kept = await store.get(job.id)
    assert kept is not None
    assert (kept.status, kept.finished_at is not None) == ("canceled", True)


async def test_a_running_job_is_ended_past_its_holder(store: JobStore) -> None:
    """The holder's own end comes too late then."""
    job = await running(store, "a")
    canceled = job.model_copy(update={"status": "canceled"})
    job.status = "succeeded"

    assert await store.end(canceled, expected_status="running")
    assert not await store.finish(job, "a")


async def test_an_end_that_comes_second_changes_nothing(store: JobStore) -> None:
    """A job that has left the state it was seen in stays as it is."""
    job = await running(store, "a")
    canceled = job.model_copy(update={"status": "canceled"})
    job.status = "succeeded"
    await store.finish(job, "a")

    assert not await store.end(canceled, expected_status="running")
    assert await store.get(job.id) == job


def claim(body: str = "body", *, replaces: bool = False) -> Claim:
    return Claim("retry#token:1#x", body, 600, replaces)


async def test_a_claim_leads_to_the_first_job(store: JobStore) -> None:
    """The same request again is the same job, and nothing is stored for it."""
    first, second = new(), new()

    assert await store.create(first, claim=claim()) is None
    assert await store.create(second, claim=claim()) == first.id
    assert await store.get(second.id) is None


async def test_a_claim_is_for_one_request(store: JobStore) -> None:
    """Another request under the same key is refused."""
    await store.create(new(), claim=claim())

    with pytest.raises(InvalidRequest, match="another request"):
        await store.create(new(), claim=claim("another body"))


async def test_a_claim_ends(store: JobStore, clock: Clock) -> None:
    """After its time the key is free, even while the table has not removed it."""
    await store.create(new(), claim=claim())
    clock.seconds += 602

    assert await store.create(new(), claim=claim("another body")) is None


async def test_a_claim_can_replace_another(store: JobStore) -> None:
    """A request that says it is no repetition is a new job, which repetitions then find."""
    second = new()
    await store.create(new(), claim=claim())

    assert await store.create(second, claim=claim(replaces=True)) is None
    assert await store.create(new(), claim=claim()) == second.id


async def filled(store: JobStore, count: int, **fields: Any) -> list[str]:
    """Store jobs of one minute after the other; gives their ids, the newest first."""
    first = datetime(2026, 11, 22, tzinfo=UTC)
    jobs = [new(id=derived_job_id(first + timedelta(minutes=number), str(fields)), **fields) for number in range(count)]
    for start in range(0, count, 25):
        writes: Any = [{"PutRequest": {"Item": store._item(job)}} for job in jobs[start : start + 25]]
        boto3.client("dynamodb").batch_write_item(RequestItems={store._table.name: writes})
    return [job.id for job in reversed(jobs)]


async def pages(store: JobStore, **options: Any) -> list[list[str]]:
    """The ids on each page of a list."""
    found: list[list[str]] = []
    cursor = None
    while True:
        jobs, cursor = await store.page(cursor=cursor, **options)
        found.append([job.id for job in jobs])
        if cursor is None:
            return found


async def test_a_list_begins_with_the_newest(store: JobStore) -> None:
    """Each owner sees their own; everybody's are in one list."""
    mine = await filled(store, 3, owner="token:1")
    theirs = await filled(store, 2, owner="token:2")

    assert await pages(store, owner="token:1") == [mine]
    assert await pages(store, owner="token:2") == [theirs]
    assert await pages(store, owner="token:3") == [[]]
    assert await pages(store, owner=None) == [sorted(mine + theirs, reverse=True)]


async def test_a_list_of_other_items_is_empty(store: JobStore, settings: Settings) -> None:
    """Tokens, locks and claims are in the same table and in no list."""
    boto3.client("dynamodb").put_item(TableName=settings.table, Item={"pk": {"S": "lock#x"}, "owner": {"S": "token:1"}})

    assert await pages(store, owner="token:1") == [[]]
    assert await pages(store, owner=None) == [[]]


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1] * 6), (2, [2] * 3), (4, [4, 2]), (6, [6]), (100, [6])])
async def test_a_list_comes_in_pages(store: JobStore, limit: int, sizes: list[int]) -> None:
    """No page is longer than asked for, none is empty, and nothing is missing or there twice."""
    ids = await filled(store, 6)

    found = await pages(store, owner="token:1", limit=limit)

    assert [len(page) for page in found] == sizes
    assert [job_id for page in found for job_id in page] == ids


@pytest.mark.parametrize("owner", ["token:1", None])
async def test_a_list_of_one_state(store: JobStore, owner: str | None) -> None:
    """Pages are as full as they can be, however many jobs of other states lie between."""
    await filled(store, 40, status="succeeded")
    failed = await filled(store, 5, status="failed")
    await filled(store, 40, status="canceled")

    found = await pages(store, owner=owner, status="failed", limit=2)

    assert [len(page) for page in found] == [2, 2, 1]
    assert [job_id for page in found for job_id in page] == failed
    assert await pages(store, owner=owner, status="queued") == [[]]


@pytest.mark.parametrize("owner", ["token:1", None])
async def test_a_thousand_jobs_are_listed_each_once(store: JobStore, owner: str | None) -> None:
    """In order, over as many pages as they need."""
    ids = await filled(store, 1_000)

    found = await pages(store, owner=owner, limit=100)

    assert [job_id for page in found for job_id in page] == ids
    assert len(found) == 10


async def test_jobs_that_come_while_a_list_is_read_do_not_move_it(store: JobStore) -> None:
    """A cursor is a place among the jobs, not a number of them."""
    ids = await filled(store, 4)
    _first, cursor = await store.page(owner="token:1", limit=2)
    await store.create(new())

    rest, _ = await store.page(owner="token:1", limit=2, cursor=cursor)

    assert [job.id for job in rest] == ids[2:]


@pytest.mark.parametrize(
    "cursor", ["", "x", "ü", "e30=", "IngiCg==", "WyJhIl0=", "bnVsbA==", "Ilx1ZDgwMCI=", "W1tb" * 1_500, "A" * 4_000]
)
async def test_a_cursor_that_was_never_given_is_refused(store: JobStore, cursor: str) -> None:
    """It is the caller's mistake, and names the parameter."""
    with pytest.raises(InvalidRequest, match="cursor") as caught:
        await store.page(owner="token:1", cursor=cursor)

    assert caught.value.field == "cursor"


async def test_a_cursor_shows_nobody_elses_jobs(store: JobStore) -> None:
    """It only says where to go on in one's own list."""
    await filled(store, 3, owner="token:2")
    _jobs, cursor = await store.page(owner="token:2", limit=1)

    assert cursor is not None
    assert await store.page(owner="token:1", cursor=cursor) == ([], None)


async def test_a_table_that_fails_is_told(settings: Settings, aws: Aws) -> None:
    """Every call says that it may work later."""
    store = JobStore(aws, settings.model_copy(update={"table": "no-such-table"}))
    job = new()

    for call in (
        store.create(job),
        store.create(job, claim=claim()),
        store.get(job.id),
        store.lease(job.id, "a", 60),
        store.finish(job, "a"),
        store.end(job, expected_status="queued"),
        store.page(owner=None),
    ):
        with pytest.raises(StorageUnavailable, match="ResourceNotFoundException") as caught:
            await call
        assert caught.value.retry_after == 1


class Contended(Aws):
    """A table whose transactions are canceled so often for this reason, and hold then."""

    def __init__(self, reason: str, times: int) -> None:
        super().__init__()
        self.tries = 0
        self._reason = reason
        self._times = times

    async def call(self, service: str, operation: str, **_parameters: Any) -> dict[str, Any]:  # noqa: ARG002 - as Aws
        if operation == "TransactWriteItems":
            self.tries += 1
            if self.tries <= self._times:
                reasons = [{"Code": "None"}, {"Code": self._reason}]
                raise AwsError("TransactionCanceledException", response={"CancellationReasons": reasons})
        return {}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions that met another are tried again at once."""
    monkeypatch.setattr("image_gateway.aws.table.random.uniform", lambda *_bounds: 0.0)


async def test_a_transaction_that_meets_another_is_tried_again(settings: Settings, quick: None) -> None:
    """Two that write the same claim at once do not fail for it."""
    aws = Contended("TransactionConflict", 2)

    assert await JobStore(aws, settings).create(new(), claim=claim()) is None

    assert aws.tries == 3


@pytest.mark.parametrize(("reason", "tries"), [("TransactionConflict", 5), ("ThrottlingError", 1)])
async def test_a_transaction_that_cannot_be_done_is_told(
    settings: Settings, quick: None, reason: str, tries: int
) -> None:
    """It is tried a few times at most, and only where trying can help."""
    aws = Contended(reason, 100)

    with pytest.raises(StorageUnavailable, match="TransactionCanceledException"):
        await JobStore(aws, settings).create(new(), claim=claim())

    assert aws.tries == tries


async def test_a_claim_that_comes_and_goes_is_given_up(settings: Settings) -> None:
    """Where the key is never free and never anybody's, nothing is stored."""
    aws = Contended("ConditionalCheckFailed", 100)

    with pytest.raises(StorageUnavailable, match="the same claim"):
        await JobStore(aws, settings).create(new(), claim=claim())


async def test_a_page_of_a_rare_state_looks_at_so_many_jobs(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may be empty and lead on: what it costs is bounded, and at last everything is found once."""
    monkeypatch.setattr("image_gateway.jobs.store._READ_LIMIT", 10)
    monkeypatch.setattr("image_gateway.jobs.store._MAX_QUERIES", 2)
    failed = await filled(store, 1, status="failed")
    await filled(store, 50, status="succeeded")

    found = await pages(store, owner="token:1", status="failed")

    assert found == [[], [], failed]


async def test_a_job_that_was_put_back_meanwhile_is_not_taken_with_old_attempts(
    settings: Settings, aws: Aws, clock: Clock
) -> None:
    """Whoever read the job before it was tried and put back gets nothing: no attempt goes uncounted."""
    store = JobStore(aws, settings, clock=clock)
    job = new()
    await store.create(job)

    class Late(JobStore):
        async def get(self, job_id: str) -> Job | None:
            read = await super().get(job_id)
            lease = await store.lease(job_id, "quick", 60)
            assert lease
            lease.job.status = "queued"
            await store.finish(lease.job, "quick")
            return read

    assert await Late(aws, settings, clock=clock).lease(job.id, "late", 60) is None

    kept = await store.get(job.id)
    assert kept
    assert (kept.status, kept.attempts) == ("queued", 1)


@pytest.mark.parametrize("letter", ["x", "🦊", "\x01"])
async def test_the_end_of_a_job_is_stored_however_much_was_said_of_it(store: JobStore, letter: str) -> None:
    """Words of engines are cut where all of them are too long for the table; keys and what was asked for never are."""
    job = new(request={"prompt": "🦊" * 32_000, "negative_prompt": "🦊" * 32_000})
    await store.create(job, lease_seconds=60, holder="a")
    job.status = "succeeded"
    job.images = [
        JobImage(
            key=f"images/2026/01/02/{job.id}/{number}.png", content_type="image/png", revised_prompt=letter * 50_000
        )
        for number in range(10)
    ]
    job.warnings = ["first", letter * 100_000]

    assert await store.finish(job, "a")

    kept = await store.get(job.id)
    assert kept == job
    assert (len(kept.images), len(kept.request["prompt"]), kept.warnings[0]) == (10, 32_000, "first")
    assert kept.warnings[-1] == TRUNCATED
    assert all(image.revised_prompt for image in kept.images)


async def test_words_that_fit_are_not_cut(store: JobStore) -> None:
    """A long revised prompt is kept whole where there is room."""
    job = await running(store)
    job.status = "succeeded"
    job.images = [JobImage(key="k/0.png", content_type="image/png", revised_prompt="x" * 300_000)]

    assert await store.finish(job, "a")

    kept = await store.get(job.id)
    assert kept
    assert kept.warnings == []
    assert kept.images[0].revised_prompt == "x" * 300_000


async def test_counts_of_tokens_that_are_no_counts_do_not_cost_an_image(store: JobStore) -> None:
    """A usage that is too long is left out."""
    job = await running(store)
    job.status, job.usage = "succeeded", {"text": "x" * 500_000}

    assert await store.finish(job, "a")

    kept = await store.get(job.id)
    assert kept
    assert (kept.usage, kept.warnings) == (None, [TRUNCATED])


async def test_what_an_engine_calls_quality_does_not_cost_an_image(store: JobStore) -> None:
    """Nor does the field that it says is wrong: both are cut where they are too long."""
    job = await running(store)
    job.status, job.reported = "succeeded", {"quality": "x" * 500_000}
    job.error = JobError(status=400, code="engine_rejected", title="t", detail="d", field="x" * 500_000)

    assert await store.finish(job, "a")
    assert job.warnings == [TRUNCATED]
