"""DynamoDB's items and expressions in moto, with the sandbox's replacements."""

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def table(dynamodb: "DynamoDBClient") -> str:
    """An empty table."""
    name = f"items-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return name


def update(dynamodb: "DynamoDBClient", table: str, key: str, expression: str, **values: Any) -> Any:
    named = {f":{name}": value for name, value in values.items()}
    return dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": key}},
        UpdateExpression=expression,
        ExpressionAttributeValues=named,
        ReturnValues="ALL_NEW",
    )["Attributes"]


@pytest.mark.parametrize(("size", "fits"), [(404_000, True), (405_001, False)])
def test_an_item_that_is_too_large_is_refused(dynamodb: "DynamoDBClient", table: str, size: int, *, fits: bool) -> None:
    """The size of an item is that of all its attributes together."""
    item: Any = {"pk": {"S": "one"}, **{f"a{part}": {"S": "x" * (size // 4 - 4)} for part in range(4)}}
    if fits:
        dynamodb.put_item(TableName=table, Item=item)
        return
    with pytest.raises(ClientError, match="size"):
        dynamodb.put_item(TableName=table, Item={**item, "more": {"S": "x" * 100}})


def test_an_update_that_makes_an_item_too_large_is_refused(dynamodb: "DynamoDBClient", table: str) -> None:
    """An update cannot make an item larger than DynamoDB allows."""
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "one"}, "a": {"S": "x" * 300_000}})

    with pytest.raises(ClientError, match="size"):
        update(dynamodb, table, "one", "SET b = :b", b={"S": "x" * 200_000})


def test_an_expression_that_was_used_before_has_its_own_values(dynamodb: "DynamoDBClient", table: str) -> None:
    """The same expression with other values and another item has nothing of its first use."""
    expression = "SET n = if_not_exists(n, :zero) + :by, l = :list REMOVE gone"

    first = update(dynamodb, table, "one", expression, zero={"N": "0"}, by={"N": "1"}, list={"L": [{"S": "a"}]})
    second = update(dynamodb, table, "two", expression, zero={"N": "5"}, by={"N": "2"}, list={"L": []})
    again = update(dynamodb, table, "one", expression, zero={"N": "0"}, by={"N": "3"}, list={"L": []})

    assert first == {"pk": {"S": "one"}, "n": {"N": "1"}, "l": {"L": [{"S": "a"}]}}
    assert second == {"pk": {"S": "two"}, "n": {"N": "7"}, "l": {"L": []}}
    assert again == {"pk": {"S": "one"}, "n": {"N": "4"}, "l": {"L": []}}


def test_a_condition_that_was_used_before_has_its_own_values(dynamodb: "DynamoDBClient", table: str) -> None:
    """The same condition with another value is evaluated with that value."""
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "one"}, "state": {"S": "new"}})

    def delete(name: str, value: str) -> None:
        dynamodb.delete_item(
            TableName=table,
            Key={"pk": {"S": "one"}},
            ConditionExpression="#s = :s",
            ExpressionAttributeNames={"#s": name},
            ExpressionAttributeValues={":s": {"S": value}},
        )

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        delete("state", "old")
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        delete("pk", "new")
    delete("state", "new")


def test_a_failed_transaction_restores_lists_and_sets(dynamodb: "DynamoDBClient", table: str) -> None:
    """What an update changes within an attribute is undone when its transaction fails."""
    item: Any = {"pk": {"S": "one"}, "l": {"L": [{"S": "a"}]}, "s": {"SS": ["a"]}, "m": {"M": {"n": {"N": "1"}}}}
    dynamodb.put_item(TableName=table, Item=item)
    values: Any = {":b": {"S": "b"}, ":s": {"SS": ["b"]}, ":two": {"N": "2"}}
    changes: Any = {
        "TableName": table,
        "Key": {"pk": {"S": "one"}},
        "UpdateExpression": "SET l[1] = :b, m.n = :two ADD s :s",
        "ExpressionAttributeValues": values,
    }
    missing: Any = {
        "TableName": table,
        "Key": {"pk": {"S": "none"}},
        "ConditionExpression": "attribute_exists(pk)",
    }

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        dynamodb.transact_write_items(TransactItems=[{"Update": changes}, {"ConditionCheck": missing}])

    assert dynamodb.get_item(TableName=table, Key={"pk": {"S": "one"}})["Item"] == item
