"""The table: transactions, conditions, batch reads, and the mapping of errors."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from image_gateway.aws import Aws, AwsError, ConditionFailed, Table
from image_gateway.aws.table import CONDITION_FAILED
from image_gateway.errors import Busy, StorageUnavailable
from image_gateway.settings import Settings
from tests.loop_time import controlled_time
from tests.silent_server import FACTOR

pytestmark = pytest.mark.anyio

FAILURE = "The item was not stored"


class ScriptedAws(Aws):
    """DynamoDB whose responses are given in advance. Records the parameters of each call."""

    def __init__(self, *responses: Mapping[str, Any] | AwsError) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []
        self._responses = list(responses)

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        self.calls.append({"service": service, "operation": operation, **parameters})
        response = self._responses.pop(0)
        if isinstance(response, AwsError):
            raise response
        return response


class Pauses:
    """Records how long the table waits, and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def table(settings: Settings, aws: Aws) -> Table:
    """The table of a deployment on moto's server."""
    return Table(aws, settings.table)


def canceled(*reasons: str) -> AwsError:
    """Return the error of a transaction with these reasons, one for each write."""
    codes = [{"Code": reason} for reason in reasons]
    return AwsError("TransactionCanceledException", status=400, response={"CancellationReasons": codes})


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}}


def put(table: Table, name: str, **parameters: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table.name, "Item": key(name), **parameters}}


async def test_a_transaction_executes_all_writes(table: Table) -> None:
    """Its result is then empty."""
    assert await table.transact([put(table, "a"), put(table, "b")], FAILURE) == ()

    assert await table.get(key("a"), FAILURE) == key("a")
    assert await table.get(key("b"), FAILURE) == key("b")


async def test_a_transaction_with_a_failed_condition_executes_no_write(table: Table) -> None:
    """The result is a reason for each write."""
    await table.call("PutItem", FAILURE, Item=key("b"))
    is_new = {"ConditionExpression": "attribute_not_exists(pk)"}

    reasons = await table.transact([put(table, "a", **is_new), put(table, "b", **is_new)], FAILURE)

    assert reasons == ("None", CONDITION_FAILED)
    assert await table.get(key("a"), FAILURE) is None


async def test_a_transaction_is_retried_after_a_conflict(pauses: Pauses) -> None:
    """Each attempt has a token of its own, and follows a pause whose upper limit doubles."""
    conflicts = [canceled("None", "TransactionConflict") for _ in range(4)]
    aws = ScriptedAws(*conflicts, {})
    writes = [{"Put": {"Item": key("a")}}]

    assert await Table(aws, "table", sleep=pauses.sleep).transact(iter(writes), FAILURE, max_attempts=5) == ()

    assert [call["operation"] for call in aws.calls] == ["TransactWriteItems"] * 5
    assert len({call["ClientRequestToken"] for call in aws.calls}) == 5
    assert len(pauses.seconds) == 4
    assert all(0 <= seconds <= 0.05 * 2**n for n, seconds in enumerate(pauses.seconds))


@pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_throttled_transaction_is_retried_after_longer_pauses(pauses: Pauses, reason: str) -> None:
    """DynamoDB cancels the transaction and gives throttling as the reason; the upper limit of the pauses is 4 s."""
    aws = ScriptedAws(*(canceled("None", reason) for _ in range(7)), {})

    assert await Table(aws, "table", sleep=pauses.sleep).transact([], FAILURE) == ()

    limits = [0.5, 1, 2, 4, 4, 4, 4]
    assert all(0 <= seconds <= limit for seconds, limit in zip(pauses.seconds, limits, strict=True))
    assert sum(pauses.seconds) > sum(limits) / 20


async def test_a_transaction_that_stays_throttled_fails_and_may_be_retried_by_the_caller(pauses: Pauses) -> None:
    """Throttling is not the caller's contention with others."""
    table = Table(ScriptedAws(*(canceled("ThrottlingError") for _ in range(8))), "table", sleep=pauses.sleep)

    with pytest.raises(StorageUnavailable) as caught:
        await table.transact([], FAILURE, contended=Busy("Other writers are active"))

    assert (caught.value.retry_after, caught.value.should_retry) == (1, True)


async def test_a_transaction_is_not_sent_again_after_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller waits for it, who has 30 s for everything."""
    monkeypatch.delenv(FACTOR, raising=False)
    aws = ScriptedAws(*(canceled("ThrottlingError") for _ in range(8)))
    with controlled_time(asyncio.get_running_loop()) as time:

        async def sleep(_seconds: float) -> None:
            time.advance(4)

        with pytest.raises(StorageUnavailable):
            await Table(aws, "table", sleep=sleep).transact([], FAILURE)

    assert 3 <= len(aws.calls) <= 4


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (AwsError("ProvisionedThroughputExceededException", status=400), True),
        (AwsError("ThrottlingException", status=400), True),
        (AwsError("InternalServerError", status=500), True),
        (AwsError("AccessDeniedException", status=400), False),
        (AwsError("ResourceNotFoundException", status=400), False),
    ],
    ids=lambda value: value.code if isinstance(value, AwsError) else "",
)
async def test_a_temporary_failure_may_be_retried_by_the_caller(error: AwsError, temporary: bool) -> None:
    """Nothing was paid. A failure that only the operator can mend has no `Retry-After`."""
    with pytest.raises(StorageUnavailable) as caught:
        await Table(ScriptedAws(error), "table").get(key("a"), FAILURE)

    assert caught.value.should_retry is temporary
    assert (caught.value.retry_after == 1) is temporary


@pytest.mark.parametrize("max_attempts", [1, 3])
async def test_a_transaction_with_a_conflict_at_every_attempt_fails(pauses: Pauses, max_attempts: int) -> None:
    """There is no pause after the last attempt."""
    aws = ScriptedAws(*(canceled("TransactionConflict") for _ in range(max_attempts)))
    table = Table(aws, "table", sleep=pauses.sleep)

    with pytest.raises(StorageUnavailable, match=r"^The item was not stored: TransactionCanceledException$") as caught:
        await table.transact([], FAILURE, max_attempts=max_attempts)

    assert caught.value.retry_after == 1
    assert (len(aws.calls), len(pauses.seconds)) == (max_attempts, max_attempts - 1)


async def test_the_caller_chooses_the_error_for_conflicts(pauses: Pauses) -> None:
    """Other failures are `StorageUnavailable` all the same."""
    contended = Busy("Other writers are active")
    conflicting = Table(ScriptedAws(canceled("TransactionConflict")), "table", sleep=pauses.sleep)
    failing = Table(ScriptedAws(AwsError("InternalServerError", status=500)), "table", sleep=pauses.sleep)

    with pytest.raises(Busy) as caught:
        await conflicting.transact([], FAILURE, max_attempts=1, contended=contended)
    assert caught.value is contended
    with pytest.raises(StorageUnavailable):
        await failing.transact([], FAILURE, max_attempts=1, contended=contended)


async def test_a_failed_condition_beside_a_conflict_is_not_retried(pauses: Pauses) -> None:
    """The condition would fail again."""
    aws = ScriptedAws(canceled("TransactionConflict", CONDITION_FAILED))

    reasons = await Table(aws, "table", sleep=pauses.sleep).transact([], FAILURE)

    assert reasons == ("TransactionConflict", CONDITION_FAILED)
    assert (len(aws.calls), pauses.seconds) == (1, [])


@pytest.mark.parametrize(
    "error",
    [canceled("ValidationError", "None"), AwsError("AccessDeniedException", status=400)],
    ids=["invalid", "access denied"],
)
async def test_any_other_failure_of_a_transaction_is_not_retried(pauses: Pauses, error: AwsError) -> None:
    """The client has already retried what may succeed later."""
    aws = ScriptedAws(error)

    with pytest.raises(StorageUnavailable, match=error.code):
        await Table(aws, "table", sleep=pauses.sleep).transact([], FAILURE)

    assert (len(aws.calls), pauses.seconds) == (1, [])


async def test_a_failed_condition_has_the_stored_item_if_it_was_requested(table: Table) -> None:
    """Without the request, the item is None."""
    await table.call("PutItem", FAILURE, Item={**key("a"), "value": {"S": "first"}})
    write = {"Item": {**key("a"), "value": {"S": "second"}}, "ConditionExpression": "attribute_not_exists(pk)"}

    with pytest.raises(ConditionFailed) as with_item:
        await table.call("PutItem", FAILURE, **write, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    with pytest.raises(ConditionFailed) as without_item:
        await table.call("PutItem", FAILURE, **write)

    assert with_item.value.item == {**key("a"), "value": {"S": "first"}}
    assert without_item.value.item is None


async def test_a_single_read_is_consistent() -> None:
    """An item that does not exist is None."""
    aws = ScriptedAws({})

    assert await Table(aws, "table").get(key("a"), FAILURE) is None

    assert aws.calls == [
        {"service": "dynamodb", "operation": "GetItem", "TableName": "table", "Key": key("a"), "ConsistentRead": True}
    ]


async def test_a_batch_read_returns_the_items_that_exist(table: Table) -> None:
    """It can have more keys than DynamoDB allows in one call, or none."""
    for number in (0, 150):
        await table.call("PutItem", FAILURE, Item=key(f"item {number}"))

    items = await table.get_many([key(f"item {number}") for number in range(201)], FAILURE)

    assert sorted(item["pk"]["S"] for item in items) == ["item 0", "item 150"]
    assert await table.get_many([], FAILURE) == []


async def test_a_batch_read_has_at_most_100_keys_in_a_call() -> None:
    """This is DynamoDB's limit. The reads are consistent."""
    aws = ScriptedAws(*({"Responses": {}} for _ in range(3)))

    await Table(aws, "table").get_many([key(str(number)) for number in range(201)], FAILURE)

    requests = [call["RequestItems"]["table"] for call in aws.calls]
    assert [len(request["Keys"]) for request in requests] == [100, 100, 1]
    assert all(request["ConsistentRead"] for request in requests)


async def test_a_batch_read_can_be_of_some_attributes_and_not_consistent(table: Table) -> None:
    """Reads that are not consistent cost half. An attribute's name may be a reserved word."""
    await table.call("PutItem", FAILURE, Item={**key("a"), "status": {"S": "queued"}, "job": {"S": "{}"}})
    aws = ScriptedAws({"Responses": {}})

    items = await table.get_many([key("a")], FAILURE, consistent=False, attributes=("pk", "status"))
    await Table(aws, "table").get_many([key("a")], FAILURE, consistent=False)

    assert items == [{**key("a"), "status": {"S": "queued"}}]
    assert aws.calls[0]["RequestItems"]["table"] == {"Keys": [key("a")], "ConsistentRead": False}


async def test_a_batch_read_also_reads_the_unprocessed_keys_after_growing_pauses(pauses: Pauses) -> None:
    """DynamoDB leaves keys unprocessed if it is throttled, or if the response would be too large."""
    unprocessed = {"table": {"Keys": [key("b")], "ConsistentRead": True}}
    aws = ScriptedAws(
        {"Responses": {"table": [key("a")]}, "UnprocessedKeys": unprocessed},
        {"Responses": {}, "UnprocessedKeys": unprocessed},
        {"Responses": {"table": [key("b")]}, "UnprocessedKeys": {}},
    )

    items = await Table(aws, "table", sleep=pauses.sleep).get_many([key("a"), key("b")], FAILURE)

    assert items == [key("a"), key("b")]
    assert [call["RequestItems"] for call in aws.calls[1:]] == [unprocessed, unprocessed]
    assert 0 < pauses.seconds[0] <= pauses.seconds[1] <= 0.1


async def test_a_batch_read_whose_keys_stay_unprocessed_is_storage_unavailable(pauses: Pauses) -> None:
    """The number of calls is limited. The pauses have jitter, so that readers do not all call again at once."""
    unprocessed = {"Responses": {}, "UnprocessedKeys": {"table": {"Keys": [key("a")], "ConsistentRead": True}}}
    aws = ScriptedAws(*[unprocessed] * 100)

    with pytest.raises(StorageUnavailable, match=r"^The item was not stored: UnprocessedKeys$") as caught:
        await Table(aws, "table", sleep=pauses.sleep).get_many([key("a")], FAILURE)

    assert (caught.value.retry_after, len(aws.calls)) == (1, len(pauses.seconds) + 1)
    assert 5 <= len(aws.calls) <= 10
    assert pauses.seconds == sorted(pauses.seconds)
    assert 1 < sum(pauses.seconds) < 7
    assert len({round(seconds / 2**n, 9) for n, seconds in enumerate(pauses.seconds)}) > 1


@pytest.mark.parametrize("operation", ["call", "get", "get_many", "transact"])
async def test_an_error_of_dynamodb_is_storage_unavailable(settings: Settings, aws: Aws, operation: str) -> None:
    """The message has the failure and DynamoDB's code. A missing table does not come back by itself."""
    table = Table(aws, "no-such-table")
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "call": lambda: table.call("PutItem", FAILURE, Item=key("a")),
        "get": lambda: table.get(key("a"), FAILURE),
        "get_many": lambda: table.get_many([key("a")], FAILURE),
        "transact": lambda: table.transact([put(table, "a")], FAILURE),
    }

    with pytest.raises(StorageUnavailable, match=r"^The item was not stored: ResourceNotFoundException$") as caught:
        await calls[operation]()

    assert caught.value.retry_after is None
    assert isinstance(caught.value.__cause__, AwsError)
