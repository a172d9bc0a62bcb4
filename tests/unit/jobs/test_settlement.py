"""Settlement of ended jobs, against moto's server: costs are charged and usage is counted once."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import EngineRejected, EngineTimeout, StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.settlement import Settlement
from image_gateway.jobs.store import JobStore
from image_gateway.metering.limit_store import LimitStore
from image_gateway.metering.usage import UsageTable
from image_gateway.metering.usage_report import grouped
from image_gateway.models.jobs import Job, JobCost
from image_gateway.models.limits import Limits, LimitState
from image_gateway.settings import Settings
from tests.aws_clients import aws_client

if TYPE_CHECKING:
    from image_gateway.jobs.events import JobEvents

pytestmark = pytest.mark.anyio

SCOPE = "token:1"


class Bus:
    """A bus that accepts or refuses events."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.accepts = True
        self.published: list[str] = []

    async def publish_completion(self, job: Job) -> bool:
        self.published.append(job.id)
        return self.accepts


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def jobs(aws: Aws, settings: Settings) -> JobStore:
    return JobStore(aws, settings)


@pytest.fixture
def limits(aws: Aws, settings: Settings) -> LimitStore:
    return LimitStore(aws, settings)


@pytest.fixture
def announcements(jobs: JobStore, aws: Aws, settings: Settings, bus: Bus) -> Announcements:
    return Announcements(jobs, cast("JobEvents", bus), Settlement(jobs, UsageTable(aws, settings)))


async def started(jobs: JobStore, micros: int = 100_000, scopes: Sequence[str] = (), **fields: Any) -> Job:
    """Store a running job for which an amount is held in these scopes."""
    values = {"id": new_job_id(), "kind": "generation", "owner": SCOPE, "engine": "openai", "model": "m", **fields}
    job = Job(**values, reserved=micros)
    assert await jobs.create(job, lease_seconds=60, holder="h", scopes=scopes) is None
    return job


async def ended(jobs: JobStore, announcements: Announcements, job: Job, usd: str | None = "0.042") -> Job:
    """Store the end of a job: a success with these costs, or a failure that may have cost what was held."""
    if usd is None:
        job.fail(EngineTimeout("too long", may_have_cost=True))
        job.uncertain_usd = Decimal("0.1")
    else:
        job.status, job.cost = "succeeded", JobCost(usd=Decimal(usd), basis="price")
    announcements.expect(job)
    assert await jobs.finish(job, "h")
    return job


def days() -> tuple[date, date]:
    """Return the days of a test's jobs: it may have begun yesterday."""
    today = datetime.now(UTC).date()
    return today - timedelta(days=1), today


async def usage_of(aws: Aws, settings: Settings) -> dict[str, Any]:
    """Return all usage as one row."""
    [row] = await grouped(UsageTable(aws, settings).read(*days()), [])
    return row.model_dump(mode="json", exclude_none=True)


async def state_of(limits: LimitStore) -> LimitState:
    state = await limits.state(SCOPE)
    assert state
    return state


async def test_an_end_is_charged_once_however_often_it_is_announced(
    jobs: JobStore, announcements: Announcements, limits: LimitStore, aws: Aws, settings: Settings
) -> None:
    """By its function, by its message, and by the recovery, each with the job as it read it."""
    await limits.set_limits(SCOPE, Limits.model_validate({"budget": {"usd": "1", "period": "total"}}))
    job = await ended(jobs, announcements, await started(jobs, scopes=[SCOPE]))
    copies = [await jobs.get(job.id) for _ in range(3)]

    for copy in copies:
        assert copy
        assert await announcements.announce(copy)

    state = await state_of(limits)
    assert (state.remaining_usd, state.open_jobs) == (Decimal("0.958"), 0)
    row = await usage_of(aws, settings)
    assert (row["requests"], row["failures"], row["usd"]) == (1, 0, "0.042000")
    stored = await jobs.get(job.id)
    assert stored
    assert (stored.settled, stored.announced) == (True, True)


async def test_what_a_failed_job_may_have_cost_stays_held(
    jobs: JobStore, announcements: Announcements, limits: LimitStore, aws: Aws, settings: Settings
) -> None:
    """It is counted beside what is certain."""
    await limits.set_limits(SCOPE, Limits.model_validate({"budget": {"usd": "1", "period": "total"}}))
    job = await ended(jobs, announcements, await started(jobs, scopes=[SCOPE]), usd=None)

    await announcements.announce(job)

    assert (await state_of(limits)).remaining_usd == Decimal("0.9")
    row = await usage_of(aws, settings)
    assert (row["failures"], row["usd"], row["uncertain_usd"]) == (1, "0.000000", "0.100000")


async def test_refused_requests_for_any_models_are_one_row_of_usage(
    jobs: JobStore, announcements: Announcements, aws: Aws, settings: Settings
) -> None:
    """Callers invent names of models. Failures of other kinds are counted for theirs."""
    for number, error in enumerate([EngineRejected("no such model")] * 3 + [EngineTimeout("too long")]):
        job = await started(jobs, model=f"m{number}")
        job.fail(error)
        announcements.expect(job)
        await jobs.finish(job, "h")
        await announcements.announce(job)

    rows = await grouped(UsageTable(aws, settings).read(*days()), ["model"])

    assert [(row.model, row.failures) for row in rows] == [("", 3), ("m3", 1)]


@pytest.mark.parametrize("enabled", [True, False])
async def test_without_limits_an_end_is_one_transaction(
    jobs: JobStore, aws: Aws, settings: Settings, enabled: bool
) -> None:
    """It counts the usage and records the announcement, whether or not the deployment has a bus."""
    bus = Bus(enabled=enabled)
    announcements = Announcements(jobs, cast("JobEvents", bus), Settlement(jobs, UsageTable(aws, settings)))
    job = await ended(jobs, announcements, await started(jobs))

    assert await announcements.announce(job)

    stored = await jobs.get(job.id)
    assert stored
    assert (stored.periods, stored.settled, stored.announced) == ({}, True, True)
    assert (await usage_of(aws, settings))["requests"] == 1


async def test_a_job_whose_settlement_fails_is_settled_by_its_next_message(
    jobs: JobStore, announcements: Announcements, bus: Bus, aws: Aws, settings: Settings
) -> None:
    """Its end is stored, and says that something is left to be done."""
    job = await ended(jobs, announcements, await started(jobs))
    broken = Settlement(jobs, UsageTable(aws, settings.model_copy(update={"usage_table": "no-such-table"})))

    assert not await Announcements(jobs, cast("JobEvents", bus), broken).announce(job)
    read = await jobs.get(job.id)
    assert read
    assert (read.status, read.settled, read.announced) == ("succeeded", False, False)
    assert await announcements.announce_if_needed(read, redelivered=False)

    assert (await usage_of(aws, settings))["requests"] == 1
    assert bus.published == [job.id, job.id]


async def test_a_worker_that_dies_before_the_settlement_leaves_it_to_the_redelivered_message(
    jobs: JobStore, announcements: Announcements, aws: Aws, settings: Settings
) -> None:
    """Nothing was recorded for a job whose message guarantees its event."""
    job = await started(jobs)
    job.status, job.cost = "succeeded", JobCost(usd=Decimal("0.042"), basis="price")
    assert await jobs.finish(job, "h")
    read = await jobs.get(job.id)
    assert read

    assert await announcements.announce_if_needed(read, redelivered=True)
    assert await announcements.announce_by_message(read)

    assert (await usage_of(aws, settings))["requests"] == 1


async def test_a_job_that_was_not_settled_is_settled_by_any_message(
    jobs: JobStore, announcements: Announcements, bus: Bus, aws: Aws, settings: Settings
) -> None:
    """Its own message may be lost. Nothing says that its event was not published, so that is not repeated."""
    job = await started(jobs)
    job.status, job.cost = "succeeded", JobCost(usd=Decimal("0.042"), basis="price")
    assert await jobs.finish(job, "h")

    for _ in range(2):
        read = await jobs.get(job.id)
        assert read
        assert await announcements.announce_if_needed(read, redelivered=False)

    assert (await usage_of(aws, settings))["usd"] == "0.042000"
    assert bus.published == []


async def test_the_cost_of_images_that_could_not_be_stored_stays_held(
    jobs: JobStore, announcements: Announcements, limits: LimitStore
) -> None:
    """The engine has answered, so it is known what was paid, whatever was held."""
    await limits.set_limits(SCOPE, Limits.model_validate({"budget": {"usd": "1", "period": "total"}}))
    job = await started(jobs, 0, scopes=[SCOPE])
    job.cost = JobCost(usd=Decimal("0.3"), basis="usage")

    job.fail(StorageUnavailable("The images were not stored", may_have_cost=True))
    announcements.expect(job)
    assert await jobs.finish(job, "h")
    await announcements.announce(job)

    assert job.uncertain_usd == Decimal("0.3")
    assert (await state_of(limits)).remaining_usd == Decimal("0.7")


async def test_an_event_that_the_bus_refuses_does_not_hold_up_the_settlement(
    jobs: JobStore, announcements: Announcements, bus: Bus, aws: Aws, settings: Settings
) -> None:
    """The event is sent later, and nothing is charged a second time."""
    bus.accepts = False
    job = await ended(jobs, announcements, await started(jobs))

    assert not await announcements.announce(job)
    bus.accepts = True
    read = await jobs.get(job.id)
    assert read
    assert (read.settled, read.announced) == (True, False)
    assert await announcements.announce_if_needed(read, redelivered=False)

    assert (await usage_of(aws, settings))["requests"] == 1
    stored = await jobs.get(job.id)
    assert stored
    assert stored.announced


async def test_a_job_that_was_removed_meanwhile_counts_as_settled(
    jobs: JobStore, announcements: Announcements, settings: Settings
) -> None:
    """Its time to live may end before the recovery finds it."""
    job = await ended(jobs, announcements, await started(jobs))
    aws_client("dynamodb").delete_item(TableName=settings.table, Key={"pk": {"S": f"job#{job.id}"}})

    assert await announcements.announce(job)


@pytest.mark.parametrize("claim", [None, Claim("claim#1", "body", 60)], ids=["without", "with a key"])
async def test_a_job_whose_creation_is_sent_twice_is_settled(
    aws: Aws, settings: Settings, limits: LimitStore, bus: Bus, claim: Claim | None
) -> None:
    """The first response was lost. What is recorded at the end has the reservation, which is held once."""
    await limits.set_limits(SCOPE, Limits.model_validate({"budget": {"usd": "1", "period": "total"}}))
    jobs = JobStore(SendingTwice(aws), settings)
    announcements = Announcements(jobs, cast("JobEvents", bus), Settlement(jobs, UsageTable(aws, settings)))
    job = Job(id=new_job_id(), kind="generation", owner=SCOPE, reserved=100_000)

    assert await jobs.create(job, lease_seconds=60, holder="h", scopes=[SCOPE], claim=claim) in (None, job.id)
    await announcements.announce(await ended(jobs, announcements, job, "0.1"))

    state = await state_of(limits)
    assert (state.remaining_usd, state.open_jobs) == (Decimal("0.9"), 0)


class SendingTwice(Aws):
    """Sends each transaction a second time, as if the first response was lost, to a table that does not notice it."""

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        if operation == "TransactWriteItems":
            await self._aws.call(service, operation, **parameters)
            parameters["ClientRequestToken"] += "-2"
        return await self._aws.call(service, operation, **parameters)
