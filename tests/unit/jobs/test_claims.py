"""Claims: one job for a request that is sent more than once."""

from decimal import Decimal
from typing import Any, Final

import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.errors import BudgetExceeded, InvalidRequest, StorageUnavailable
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.store import JobStore
from image_gateway.metering.limit_store import LimitStore
from image_gateway.models.limits import Limits, LimitState
from image_gateway.settings import Settings
from tests.unit.jobs.job_records import Clock, new_job

pytestmark = pytest.mark.anyio

OWNER: Final = "token:1"


def claim(body: str = "body", *, replaces: bool = False) -> Claim:
    return Claim("retry#token:1#x", body, 600, replaces)


async def test_a_second_job_with_the_same_claim_is_not_created(store: JobStore) -> None:
    """The id of the first job is returned."""
    first, second = new_job(), new_job()

    assert await store.create(first, claim=claim()) is None
    assert await store.create(second, claim=claim()) == first.id
    assert await store.get(second.id) is None


async def test_a_claims_key_cannot_be_used_for_another_request(store: JobStore) -> None:
    """The requests are compared by the claim's hash."""
    await store.create(new_job(), claim=claim())

    with pytest.raises(InvalidRequest, match="another request"):
        await store.create(new_job(), claim=claim("another body"))


async def test_a_claims_key_is_free_after_the_claim_has_expired(store: JobStore, clock: Clock) -> None:
    """This is so even if DynamoDB has not removed the item yet."""
    await store.create(new_job(), claim=claim())
    clock.seconds += 602

    assert await store.create(new_job(), claim=claim("another body")) is None


async def test_a_claim_can_replace_another(store: JobStore) -> None:
    """A first request creates a new job, which retries of it then get."""
    second = new_job()
    await store.create(new_job(), claim=claim())

    assert await store.create(second, claim=claim(replaces=True)) is None
    assert await store.create(new_job(), claim=claim()) == second.id


class ContendedAws(Aws):
    """DynamoDB whose first transactions are canceled for one reason, and which has no items."""

    def __init__(self, reason: str, cancellations: int) -> None:
        super().__init__()
        self.transactions = 0
        self._reason = reason
        self._cancellations = cancellations

    async def call(self, service: str, operation: str, **_parameters: Any) -> dict[str, Any]:  # noqa: ARG002 - as Aws
        if operation == "TransactWriteItems":
            self.transactions += 1
            if self.transactions <= self._cancellations:
                reasons = [{"Code": "None"}, {"Code": self._reason}]
                raise AwsError("TransactionCanceledException", response={"CancellationReasons": reasons})
        return {}


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions are sent again without a pause."""
    monkeypatch.setattr("image_gateway.aws.table.random.uniform", lambda *_bounds: 0.0)


async def test_a_claim_is_retried_after_a_transaction_conflict(settings: Settings, no_backoff: None) -> None:
    """Two concurrent requests with the same claim do not fail because of it."""
    aws = ContendedAws("TransactionConflict", 2)

    assert await JobStore(aws, settings).create(new_job(), claim=claim()) is None

    assert aws.transactions == 3


@pytest.mark.parametrize(
    ("reason", "transactions"), [("TransactionConflict", 8), ("ThrottlingError", 8), ("ValidationError", 1)]
)
async def test_a_claim_that_cannot_be_written_is_an_error(
    settings: Settings, no_backoff: None, reason: str, transactions: int
) -> None:
    """The number of attempts is limited, and other failures than conflicts and throttling are not retried."""
    aws = ContendedAws(reason, 100)

    with pytest.raises(StorageUnavailable, match="TransactionCanceledException"):
        await JobStore(aws, settings).create(new_job(), claim=claim())

    assert aws.transactions == transactions


async def test_a_claim_that_keeps_changing_is_an_error(settings: Settings) -> None:
    """The condition fails each time, but then the key has no claim."""
    aws = ContendedAws("ConditionalCheckFailed", 100)

    with pytest.raises(StorageUnavailable, match="the same claim"):
        await JobStore(aws, settings).create(new_job(), claim=claim())


@pytest.fixture
def limits(aws: Aws, settings: Settings) -> LimitStore:
    return LimitStore(aws, settings)


async def allow(limits: LimitStore, usd: str) -> None:
    """Set the budget of the jobs' owner."""
    await limits.set_limits(OWNER, Limits.model_validate({"budget": {"usd": usd, "period": "total"}}))


async def state_of(limits: LimitStore) -> LimitState:
    state = await limits.state(OWNER)
    assert state
    return state


async def test_a_refused_job_and_its_claim_are_not_stored(store: JobStore, limits: LimitStore) -> None:
    """When the budget is raised, the same request with the same key succeeds."""

    async def create() -> str | None:
        return await store.create(new_job(reserved=100_000), claim=claim(), scopes=[OWNER])

    await allow(limits, "0.01")
    with pytest.raises(BudgetExceeded):
        await create()
    await allow(limits, "1")
    assert await create() is None
    assert await create() is not None

    assert (await state_of(limits)).remaining_usd == Decimal("0.9")


async def test_a_key_of_another_request_is_refused_and_nothing_is_held(store: JobStore, limits: LimitStore) -> None:
    """As without limits."""
    await allow(limits, "1")
    assert await store.create(new_job(), claim=claim(), scopes=[OWNER]) is None

    with pytest.raises(InvalidRequest):
        await store.create(new_job(), claim=claim("another body"), scopes=[OWNER])

    assert (await state_of(limits)).open_jobs == 1
