"""Conflicts of transactions that the sandbox injects."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.embedded_aws import EmbeddedAws
from sandbox.transaction_conflicts import injected_conflicts
from tests.aws_clients import aws_client


@pytest.fixture
def table(embedded_aws: EmbeddedAws) -> Iterator[str]:
    name = f"conflicts-{uuid.uuid4().hex[:8]}"
    aws_client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    yield name
    aws_client("dynamodb").delete_table(TableName=name)


def dynamodb() -> Any:
    """Return a client that does not retry."""
    return boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))


def put(table: str, name: str = "a") -> dict[str, Any]:
    return {"TableName": table, "Item": {"pk": {"S": name}}}


def stored(table: str) -> int:
    return int(dynamodb().scan(TableName=table)["Count"])


def test_a_refused_transaction_names_the_conflict_and_writes_nothing(table: str) -> None:
    """It has a reason for each write, as on AWS."""
    with injected_conflicts(1.0), pytest.raises(ClientError) as caught:
        dynamodb().transact_write_items(TransactItems=[{"Put": put(table)}, {"Put": put(table, "b")}])

    response: Any = caught.value.response
    assert response["Error"]["Code"] == "TransactionCanceledException"
    assert [reason["Code"] for reason in response["CancellationReasons"]] == ["None", "TransactionConflict"]
    assert stored(table) == 0


@pytest.mark.parametrize("operation", ["put_item", "delete_item", "update_item"])
def test_a_write_of_one_item_is_refused_with_an_error_of_its_own(table: str, operation: str) -> None:
    """Its item is in a transaction that is in progress."""
    target = put(table) if operation == "put_item" else {"TableName": table, "Key": {"pk": {"S": "a"}}}

    with injected_conflicts(1.0), pytest.raises(ClientError) as caught:
        getattr(dynamodb(), operation)(**target)

    assert caught.value.response["Error"]["Code"] == "TransactionConflictException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert stored(table) == 0


def refusals(table: str, share: float, seed: int) -> list[bool]:
    """Return which of 40 writes are refused."""
    outcomes = []
    with injected_conflicts(share, seed) as refused:
        for _ in range(40):
            before = len(refused)
            with suppress(ClientError):
                dynamodb().put_item(**put(table))
            outcomes.append(len(refused) > before)
    return outcomes


def test_the_same_seed_refuses_the_same_share_of_writes(table: str) -> None:
    """A failure that was found with a seed can be repeated."""
    first = refusals(table, 0.3, 1)

    assert first == refusals(table, 0.3, 1)
    assert first != refusals(table, 0.3, 2)
    assert 4 <= sum(first) <= 20
    assert not any(refusals(table, 0.0, 1))


def test_writes_are_accepted_after_the_block(table: str) -> None:
    """Moto itself is unchanged."""
    with injected_conflicts(1.0):
        pass

    dynamodb().put_item(**put(table))

    assert stored(table) == 1
