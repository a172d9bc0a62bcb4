"""moto with the sandbox's fixes: isolated transactions, and connections that are kept open."""

import gc
import http.client
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from sandbox.embedded_aws import EmbeddedAws
from sandbox.template import ACCOUNT, REGION, ROOT
from tests import web
from tests.aws_clients import aws_client

NAMES = {"pk": "S", "sk": "S"}


@pytest.fixture(params=[("pk",), ("pk", "sk")], ids=["hash key", "hash and range key"])
def table(embedded_aws: EmbeddedAws, request: pytest.FixtureRequest) -> str:
    """A table with one item, `one`, whose `count` is 1."""
    name, types = f"fixed-{uuid.uuid4().hex[:8]}", ("HASH", "RANGE")
    aws_client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in request.param],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(request.param, types, strict=False)],  # type: ignore[typeddict-item]  # literals
    )
    aws_client("dynamodb").put_item(TableName=name, Item={**key(name, "one"), "count": {"N": "1"}})
    return name


def key(name: str, value: str) -> dict[str, Any]:
    schema = aws_client("dynamodb").describe_table(TableName=name)["Table"]["KeySchema"]
    return {part["AttributeName"]: {"S": value} for part in schema}


def count(table: str) -> str:
    response = aws_client("dynamodb").get_item(TableName=table, Key=key(table, "one"))
    return response["Item"]["count"]["N"]


def increment(table: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "Key": key(table, "one"),
        "UpdateExpression": "ADD #count :one",
        "ExpressionAttributeNames": {"#count": "count"},
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def test_a_failed_transaction_changes_nothing(table: str) -> None:
    """An update, a new item and a deletion are undone together when another condition of the transaction fails."""
    dynamodb = aws_client("dynamodb")
    dynamodb.put_item(TableName=table, Item=key(table, "two"))
    writes: list[Any] = [
        {"Update": increment(table)},
        {"Put": {"TableName": table, "Item": key(table, "three")}},
        {"Delete": {"TableName": table, "Key": key(table, "two")}},
        {
            "ConditionCheck": {
                "TableName": table,
                "Key": key(table, "four"),
                "ConditionExpression": "attribute_exists(pk)",
            }
        },
    ]

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        dynamodb.transact_write_items(TransactItems=writes)

    items = dynamodb.scan(TableName=table)["Items"]
    assert sorted(item["pk"]["S"] for item in items) == ["one", "two"]
    assert count(table) == "1"


def test_a_successful_transaction_writes_everything(table: str) -> None:
    """All writes of a successful transaction are stored."""
    writes: list[Any] = [{"Update": increment(table)}, {"Put": {"TableName": table, "Item": key(table, "two")}}]

    aws_client("dynamodb").transact_write_items(TransactItems=writes)

    assert count(table) == "2"
    assert aws_client("dynamodb").scan(TableName=table)["Count"] == 2


def test_items_are_read_as_they_were_written(table: str) -> None:
    """Every type of DynamoDB is returned unchanged, also within maps and lists, by every operation that reads items."""
    item: dict[str, Any] = {
        **key(table, "all types"),
        "text": {"S": ""},
        "number": {"N": "-1.5"},
        "bytes": {"B": b"\x00\xff"},
        "true": {"BOOL": True},
        "null": {"NULL": True},
        "texts": {"SS": ["a", "b"]},
        "numbers": {"NS": ["1", "2"]},
        "list of bytes": {"BS": [b"\x00", b"\xff"]},
        "map": {"M": {"S": {"S": "a type's name"}, "list": {"L": [{"M": {"n": {"N": "1"}}}, {"BOOL": False}]}}},
        "map with bytes": {"M": {"list": {"L": [{"B": b"\x00\xff"}, {"S": "a"}]}}},
        "empty": {"M": {}},
    }
    dynamodb = aws_client("dynamodb")
    dynamodb.put_item(TableName=table, Item=item)
    names: Any = {"Key": key(table, "all types"), "TableName": table}

    assert dynamodb.get_item(**names)["Item"] == item
    assert dynamodb.batch_get_item(RequestItems={table: {"Keys": [names["Key"]]}})["Responses"][table] == [item]
    assert item in dynamodb.scan(TableName=table)["Items"]
    assert dynamodb.delete_item(**names, ReturnValues="ALL_OLD")["Attributes"] == item


def test_items_that_were_deleted_are_not_kept(table: str) -> None:
    """Moto keeps no reference to an item that is not in its table any more."""

    def items() -> int:
        gc.collect()
        return sum(isinstance(instance, Item) for instance in gc.get_objects())

    dynamodb, before = aws_client("dynamodb"), items()
    for number in range(3):
        dynamodb.put_item(TableName=table, Item=key(table, f"{number}"))
        dynamodb.delete_item(TableName=table, Key=key(table, f"{number}"))

    assert items() <= before


def test_a_transaction_leaves_no_copy_of_its_table(table: str) -> None:
    """A transaction leaves no copy of the table in memory."""
    writes: list[Any] = [{"Update": increment(table)}]
    aws_client("dynamodb").transact_write_items(TransactItems=writes)
    gc.collect()
    before = sum(isinstance(item, Table) for item in gc.get_objects())

    aws_client("dynamodb").transact_write_items(TransactItems=writes)

    gc.collect()
    assert sum(isinstance(item, Table) for item in gc.get_objects()) == before


def test_failed_transactions_do_not_undo_concurrent_writes(table: str) -> None:
    """Increments that are made during failing transactions are all counted."""
    dynamodb = aws_client("dynamodb")
    check = {"TableName": table, "Key": key(table, "none"), "ConditionExpression": "attribute_exists(pk)"}
    writes: list[Any] = [{"ConditionCheck": check}]
    change = increment(table)

    def write(number: int) -> None:
        if number % 2:
            dynamodb.update_item(**change)
            return
        with pytest.raises(ClientError, match="ConditionalCheckFailed"):
            dynamodb.transact_write_items(TransactItems=writes)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(40)))

    assert count(table) == "21"


class SendingAtTheEnd(list[Any]):
    """The messages of a queue. At the end of an iteration over them, another thread sends one more."""

    def __init__(self, messages: list[Any], send: Callable[[], object]) -> None:
        super().__init__(messages)
        self.thread = threading.Thread(target=send)

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        if self.thread.ident is None:
            self.thread.start()
            # It waits for the end of the deletion, if it has to.
            self.thread.join(0.1)


@pytest.mark.usefixtures("embedded_aws")
def test_a_message_that_is_sent_during_a_deletion_is_not_lost() -> None:
    """Moto replaces the list of the queue's messages at the end of a deletion."""
    name = f"fixed-{uuid.uuid4().hex[:8]}"
    aws_client("sqs").create_queue(QueueName=name)
    backend = get_backend("sqs")[ACCOUNT][REGION]
    backend.send_message(name, "first")
    (received,) = backend.receive_message(name, 1, 0, 60)
    queue = backend.queues[name]
    messages = queue._messages = SendingAtTheEnd(queue._messages, lambda: backend.send_message(name, "second"))

    backend.delete_message(name, str(received.receipt_handle))

    messages.thread.join()
    assert [message.body for message in queue._messages] == ["second"]


def test_a_connection_is_reused(embedded_aws: EmbeddedAws) -> None:
    """Successive requests use the same connection, whatever their methods, bodies and statuses."""
    bucket = f"fixed-{uuid.uuid4().hex[:8]}"
    s3 = aws_client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=bucket, Key="key", Body=b"x" * 70_000)
    host, _, port = embedded_aws.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.connect()
    first_socket = connection.sock
    responses = []

    for method, action, body in (
        ("PUT", "put_object", b"sent " * 20_000),
        ("HEAD", "head_object", b""),
        ("GET", "get_object", b""),
        ("DELETE", "delete_object", b""),
        ("GET", "get_object", b""),
    ):
        url = s3.generate_presigned_url(action, Params={"Bucket": bucket, "Key": "key"})
        connection.request(method, url.removeprefix(embedded_aws.url), body)
        response = connection.getresponse()
        responses.append((response.status, response.headers["Content-Length"], len(response.read())))

    assert [(status, length) for status, _header, length in responses[:4]] == [
        (200, 0),
        (200, 0),
        (200, 100_000),
        (204, 0),
    ]
    assert responses[1][1] == "100000"
    assert responses[4][0] == 404
    assert connection.sock is first_socket
    connection.close()


@pytest.mark.usefixtures("embedded_aws")
def test_a_chunked_body_is_read() -> None:
    """A body in chunks is stored completely."""
    bucket = f"fixed-{uuid.uuid4().hex[:8]}"
    s3 = aws_client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "key"})

    web.put(url, content=iter([b"one ", b"two"]), trust_env=False).raise_for_status()

    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"one two"


def test_an_exception_in_moto_is_a_500(embedded_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that causes an exception in moto gets a 500, and the next request is served."""

    def fail(*_: object) -> None:
        raise RuntimeError("planted defect")

    with httpx.Client(verify=web.TLS, trust_env=False) as client:
        with monkeypatch.context() as patched:
            patched.setattr(DomainDispatcherApplication, "get_application", fail)
            assert client.get(f"{embedded_aws.url}/moto-api/").status_code == 500
        assert client.get(f"{embedded_aws.url}/moto-api/").status_code == 200


def test_parameter_store_is_loaded_without_ec2() -> None:
    """The sandbox starts without loading EC2's tables, and EC2 can still be used."""
    program = """
import sys
from sandbox.embedded_aws import EmbeddedAws
from sandbox.template import ACCOUNT, REGION, ROOT
with EmbeddedAws():
    import boto3
    boto3.client("ssm").put_parameter(Name="/a", Value="b", Type="SecureString")
    print([name for name in sys.modules if name.startswith("moto.ec2")])
    print(len(boto3.client("ec2").describe_vpcs()["Vpcs"]))
"""

    result = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.stdout == "[]\n1\n", result.stderr
