"""Calls to AWS: requests, retries and errors."""

import json
import traceback
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import Response

from image_gateway.aws import Aws, AwsError
from image_gateway.aws.errors import THROTTLED
from image_gateway.settings import Settings
from tests.unit.aws.aws_service import OK, RecordedSleep, Service, failure

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("service", "operation", "version", "target"),
    [
        ("dynamodb", "PutItem", "1.0", "DynamoDB_20120810.PutItem"),
        ("events", "PutEvents", "1.1", "AWSEvents.PutEvents"),
        ("sqs", "SendMessage", "1.0", "AmazonSQS.SendMessage"),
        ("ssm", "GetParameter", "1.1", "AmazonSSM.GetParameter"),
    ],
)
async def test_a_call_sends_its_operation_and_parameters(
    client: Aws, respond: Callable[..., Service], service: str, operation: str, version: str, target: str
) -> None:
    """The protocol, the operation and the session token are headers, and responses must not be compressed."""
    requests = respond(OK).requests

    assert await client.call(service, operation, Name="grün", Count=1) == {"done": True}

    [(request, body)] = requests
    assert json.loads(body) == {"Name": "grün", "Count": 1}
    assert request.headers["content-type"] == f"application/x-amz-json-{version}"
    assert request.headers["x-amz-target"] == target
    assert request.headers["x-amz-security-token"] == "confidential-token"
    assert request.headers["accept-encoding"] == "identity"
    assert f"/eu-central-1/{service}/aws4_request" in request.headers["authorization"]


async def test_an_empty_response_is_an_empty_document(client: Aws, respond: Callable[..., Service]) -> None:
    """Some operations have responses without a body."""
    respond(Response(b""))

    assert await client.call("ssm", "DeleteParameter", Name="x") == {}


async def test_every_service_returns_what_was_stored(aws: Aws, settings: Settings) -> None:
    """Values with non-ASCII characters are sent to each service and returned unchanged."""
    item = {"pk": {"S": "token#ü"}, "expires_at": {"N": "1"}, "done": {"BOOL": True}}

    await aws.call("dynamodb", "PutItem", TableName=settings.table, Item=item)
    stored = await aws.call("dynamodb", "GetItem", TableName=settings.table, Key={"pk": item["pk"]})
    name = f"/{uuid.uuid4()}"
    put = await aws.call("ssm", "PutParameter", Name=name, Value="ü", Type="SecureString")
    parameter = (await aws.call("ssm", "GetParameter", Name=name, WithDecryption=True))["Parameter"]
    queue = await aws.call("sqs", "CreateQueue", QueueName=settings.table)
    sent = await aws.call("sqs", "SendMessage", QueueUrl=queue["QueueUrl"], MessageBody="ü")
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    published = await aws.call("events", "PutEvents", Entries=[entry])

    assert stored["Item"] == item
    assert put["Version"] == 1
    assert (parameter["Value"], parameter["Version"]) == ("ü", 1)
    assert sent["MessageId"]
    assert published["FailedEntryCount"] == 0


TRANSIENT_FAILURES = [failure(status) for status in (500, 502, 503, 504)]
TRANSIENT_FAILURES += [failure(400, "RequestTimeout"), failure(400, "TransactionConflictException")]
TRANSIENT_FAILURES += [Response(b"<html>Service Unavailable</html>", 503)]


@pytest.mark.parametrize(
    "response", TRANSIENT_FAILURES, ids=lambda response: f"{response.status_code} {response.body[:30]!r}"
)
async def test_transient_failures_are_retried_soon(
    client: Aws, sleep: RecordedSleep, respond: Callable[..., Service], response: Response
) -> None:
    """A transient failure is retried up to three times, after random parts of delays that double."""
    service = respond(response, response, response, OK)

    assert await client.call("dynamodb", "GetItem") == {"done": True}

    assert len(service.requests) == 4
    assert all(0 <= wait <= limit for wait, limit in zip(sleep.seconds, (0.05, 0.1, 0.2), strict=True))


@pytest.mark.parametrize("code", sorted(THROTTLED))
async def test_throttled_calls_are_retried_later(
    client: Aws, sleep: RecordedSleep, respond: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """After throttling the delays are longer; after four attempts the call fails with the service's code."""
    monkeypatch.setattr("image_gateway.aws.client.random.random", lambda: 1.0)
    service = respond(failure(400, f"com.amazonaws#{code}", message="Slow down"))

    with pytest.raises(AwsError, match="Slow down") as caught:
        await client.call("dynamodb", "GetItem")

    assert caught.value.code == code
    assert len(service.requests) == 4
    assert sleep.seconds == [1, 2, 4]


async def test_a_caller_with_pauses_of_its_own_gets_a_throttled_call_back_at_once(
    client: Aws, sleep: RecordedSleep, respond: Callable[..., Service]
) -> None:
    """With `retry_throttling=False`, only other transient failures are retried."""
    service = respond(failure(500), failure(400, "ThrottlingException"))

    with pytest.raises(AwsError, match="ThrottlingException"):
        await client.call("ssm", "GetParameter", retry_throttling=False, Name="a")

    assert [json.loads(body) for _request, body in service.requests] == [{"Name": "a"}] * 2
    assert len(sleep.seconds) == 1


async def test_a_write_that_conflicts_with_a_transaction_is_retried_for_seconds(
    client: Aws, sleep: RecordedSleep, respond: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy item, conflicts last longer than other transient failures; after eight attempts the call fails."""
    monkeypatch.setattr("image_gateway.aws.client.random.random", lambda: 1.0)
    service = respond(failure(400, "x#TransactionConflictException"))

    with pytest.raises(AwsError, match="TransactionConflictException"):
        await client.call("dynamodb", "PutItem")

    assert len(service.requests) == 8
    assert sleep.seconds == pytest.approx([0.05 * 2**n for n in range(7)])


ERRORS = {
    "with a namespace": (failure(400, "com.amazonaws.sqs#QueueDoesNotExist", message="no"), "QueueDoesNotExist"),
    "with a URL": (
        failure(400, "AccessDeniedException:http://internal.amazon.com/coral/", Message="no"),
        "AccessDenied",
    ),
    "code only": (failure(400, "ParameterNotFound"), "ParameterNotFound"),
    "xml": (Response(b"<?xml?>\n<Error><Code>NoSuchKey</Code><Message>a &amp; b</Message></Error>", 404), "NoSuchKey"),
    "no body": (Response(b"", 404), "404"),
    "not an object": (Response(b'["__type"]', 403), "403"),
    "no code": (Response(b'{"message": "Forbidden"}', 403), "403"),
    "redirect": (Response(b"", 307, {"location": "http://elsewhere.example"}), "307"),
}


@pytest.mark.parametrize("kind", ERRORS)
async def test_an_error_has_the_services_code(client: Aws, respond: Callable[..., Service], kind: str) -> None:
    """The code is found in each format of error responses, and the call is not retried."""
    response, code = ERRORS[kind]
    service = respond(response)

    with pytest.raises(AwsError) as caught:
        await client.call("dynamodb", "GetItem")

    assert caught.value.code.removesuffix("Exception") == code
    assert caught.value.status == response.status_code
    assert len(service.requests) == 1


async def test_an_error_has_the_reasons_of_a_canceled_transaction(client: Aws, respond: Callable[..., Service]) -> None:
    """The body of an error response is available, with the reason for each write."""
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}]
    respond(failure(400, "x#TransactionCanceledException", CancellationReasons=reasons))

    with pytest.raises(AwsError) as caught:
        await client.call("dynamodb", "TransactWriteItems")

    assert caught.value.response["CancellationReasons"] == reasons


async def test_a_response_that_is_not_json_is_an_error(client: Aws, respond: Callable[..., Service]) -> None:
    """An HTML page, for instance of a proxy, is an `AwsError` like others."""
    respond(Response(b"<html>"))

    with pytest.raises(AwsError, match="InvalidResponse"):
        await client.call("ssm", "GetParameter")


async def test_a_refused_connection_is_an_error(
    client: Aws, sleep: RecordedSleep, respond: Callable[..., Service], monkeypatch: Any
) -> None:
    """Without a response, the code is the kind of failure, after three retries."""
    respond(OK)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(AwsError) as caught:
        await client.call("ssm", "GetParameter")

    assert (caught.value.code, caught.value.status) == ("ConnectError", 0)
    assert len(sleep.seconds) == 3


@pytest.mark.parametrize("kind", ["error response", "no response"])
async def test_errors_contain_no_secrets(
    client: Aws, respond: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Neither the error nor its traceback contains a key, a token, a signature or a parameter's value."""
    respond(failure(400, "ValidationException", message="Value 'confidential prompt' failed to satisfy constraint"))
    if kind == "no response":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(AwsError) as caught:
        await client.call("ssm", "PutParameter", Value="confidential prompt")

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    # The traceback also contains source lines of this test.
    shown = "\n".join(line for line in shown.splitlines() if "await client.call(" not in line)
    for secret in ("confidential", "Signature", "AKID"):
        assert secret not in shown
