"""Requests of the JSON protocol get from the sandbox's server what moto's Flask application answers."""

import http.client
import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.embedded_aws import EmbeddedAws
from sandbox.template import REGION

SERVICES = {"DynamoDB_20120810": "dynamodb", "AmazonSSM": "ssm", "AmazonSQS": "sqs", "AWSEvents": "events"}
FLASK = {"Content-Encoding": "identity"}
"""A header that changes nothing, and with which moto's Flask application answers."""


def send(aws: EmbeddedAws, target: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Send a signed request; return its response's status and document."""
    service = SERVICES[target.partition(".")[0]]
    json_type = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target, **(headers or {})}
    request = AWSRequest("POST", f"{aws.url}/", json_type, body)
    SigV4Auth(Credentials("sandbox", "sandbox"), service, REGION).add_auth(request)
    connection = http.client.HTTPConnection(urlsplit(aws.url).netloc)
    connection.request("POST", "/", body, dict(request.headers))
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, json.loads(text or "null")


@pytest.fixture
def table(embedded_aws: EmbeddedAws) -> str:
    """A table with the item `one`."""
    name = f"server-{uuid.uuid4().hex[:8]}"
    key = {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}
    schema = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    table = {"TableName": name, **key, **schema}
    assert send(embedded_aws, "DynamoDB_20120810.CreateTable", json.dumps(table).encode())[0] == 200
    item = {"TableName": name, "Item": {"pk": {"S": "one"}, "a": {"M": {"n": {"N": "1"}, "b": {"B": "AA=="}}}}}
    assert send(embedded_aws, "DynamoDB_20120810.PutItem", json.dumps(item).encode())[0] == 200
    return name


KEY = {"Key": {"pk": {"S": "one"}}}
TABLE = "(table)"


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("DynamoDB_20120810.GetItem", {"TableName": TABLE, **KEY}),
        ("DynamoDB_20120810.GetItem", {"TableName": TABLE, "Key": {"pk": {"S": "none"}}}),
        ("DynamoDB_20120810.GetItem", {"TableName": "no-table", **KEY}),
        ("DynamoDB_20120810.GetItem", {"TableName": TABLE, "Key": {"other": {"S": "one"}}}),
        ("DynamoDB_20120810.Scan", {"TableName": TABLE}),
        ("DynamoDB_20120810.BatchGetItem", {"RequestItems": {TABLE: {"Keys": [KEY["Key"]]}}}),
        ("DynamoDB_20120810.DeleteItem", {"TableName": TABLE, **KEY, "ConditionExpression": "attribute_exists(b)"}),
        ("DynamoDB_20120810.UpdateItem", {"TableName": TABLE, **KEY, "UpdateExpression": "SET"}),
        (
            "DynamoDB_20120810.TransactWriteItems",
            {"TransactItems": [{"Delete": {"TableName": TABLE, **KEY, "ConditionExpression": "attribute_exists(b)"}}]},
        ),
        ("AmazonSSM.GetParameter", {"Name": "/none"}),
        ("AmazonSQS.GetQueueUrl", {"QueueName": "none"}),
        ("AmazonSQS.ReceiveMessage", {"QueueUrl": "http://127.0.0.1/123456789012/none"}),
        ("AWSEvents.PutEvents", {"Entries": [{"DetailType": "no source", "Detail": "{}"}]}),
        ("AWSEvents.DescribeRule", {"Name": "none"}),
    ],
)
def test_a_json_request_is_answered_as_by_moto(embedded_aws: EmbeddedAws, table: str, target: str, body: Any) -> None:
    """Status and document are those of moto's Flask application, also for errors."""
    content = json.dumps(body).replace(TABLE, table).encode()

    assert send(embedded_aws, target, content) == send(embedded_aws, target, content, FLASK)


def test_a_request_that_moto_cannot_process_is_an_error_of_the_server(embedded_aws: EmbeddedAws) -> None:
    """A request that moto cannot process gets a 500, and the server goes on."""
    assert send(embedded_aws, "AWSEvents.DescribeRule", b"\xff")[0] == 500
    assert send(embedded_aws, "AmazonSSM.GetParameter", b'{"Name": "/none"}')[0] == 400


def test_names_of_headers_are_read_in_any_case(embedded_aws: EmbeddedAws, table: str) -> None:
    """The names of a request's headers are in any case, as HTTP says."""
    body = json.dumps({"TableName": table, **KEY}).encode()
    connection = http.client.HTTPConnection(urlsplit(embedded_aws.url).netloc)
    credential = f"AWS4-HMAC-SHA256 Credential=sandbox/20260101/{REGION}/dynamodb/aws4_request, Signature=x"
    headers = {"AUTHORIZATION": credential, "x-AMZ-target": "DynamoDB_20120810.GetItem"}
    connection.request("POST", "/", body, {**headers, "content-TYPE": "application/x-amz-json-1.0"})

    response = connection.getresponse()

    assert (response.status, json.loads(response.read())["Item"]["pk"]) == (200, {"S": "one"})
    connection.close()


@pytest.mark.parametrize("head", ["GET / HTTP/1.1\r\nno colon\r\n\r\n", "nothing\r\n\r\n", "GET / HTTP/9\r\n\r\n"])
def test_a_malformed_head_is_refused(embedded_aws: EmbeddedAws, head: str) -> None:
    """A head that is not HTTP's gets an error, and the server goes on."""
    connection = http.client.HTTPConnection(urlsplit(embedded_aws.url).netloc)
    connection.connect()
    connection.sock.sendall(head.encode())

    assert b" 400 " in connection.sock.recv(65_536) or b" 505 " in connection.sock.recv(65_536)
    connection.close()
