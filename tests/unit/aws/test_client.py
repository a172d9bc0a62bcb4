"""Calls to AWS: requests, retries and errors."""

import asyncio
import json
import os
import ssl
import traceback
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from image_gateway.aws import Aws, AwsError, create_transport
from image_gateway.aws.errors import THROTTLED
from image_gateway.net.transport import Transport
from image_gateway.settings import Settings

pytestmark = pytest.mark.anyio


class Service:
    """A service that sends the given responses in order, repeats the last one, and records its requests."""

    def __init__(self, *responses: Response) -> None:
        self.responses = list(responses)
        self.requests: list[tuple[Request, bytes]] = []
        self.app = Starlette()
        self.app.add_route("/{path:path}", self._respond, methods=["GET", "POST", "PUT"])

    async def _respond(self, request: Request) -> Response:
        self.requests.append((request, await request.body()))
        return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]


class RecordedSleep:
    """Replaces `sleep`: records the seconds, and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def sleep() -> RecordedSleep:
    return RecordedSleep()


@pytest.fixture
async def client(sleep: RecordedSleep) -> AsyncIterator[Aws]:
    """A client that reuses connections, as on Lambda."""
    aws = Aws(create_transport, sleep=sleep)
    yield aws
    await aws.aclose()


@pytest.fixture
def respond(serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Service]:
    """Start a service with the given responses, as the endpoint of all AWS services."""
    for name, value in {"REGION": "eu-central-1", "ACCESS_KEY_ID": "AKID", "SECRET_ACCESS_KEY": "confidential"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "confidential-token")

    def start(*responses: Response) -> Service:
        service = Service(*responses)
        monkeypatch.setenv("AWS_ENDPOINT_URL", serve(service.app))
        return service

    return start


def failure(status: int, code: str = "", **more: Any) -> Response:
    return Response(json.dumps({"__type": code, **more}) if code else "", status)


OK = Response('{"done": true}')


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


class ClosingServer:
    """Sends one response per connection, and closes the connection at the second request."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for number in range(2):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:  # the client is closed
                break
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            self.requests += 1
            if number == 0:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                await writer.drain()
        writer.close()


async def test_a_closed_idle_connection_is_replaced(
    client: Aws, respond: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the service has closed an idle connection, the request is sent again over a new one."""
    respond(OK)
    server = ClosingServer()
    async with await asyncio.start_server(server, "127.0.0.1") as listener:
        port = listener.sockets[0].getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for _ in range(2):
            assert await client.call("ssm", "GetParameter") == {}
        await client.aclose()

    assert (server.connections, server.requests) == (2, 3)


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


class ClosableTransport(Transport):
    """A transport that records whether it was closed."""

    closed = False

    async def aclose(self) -> None:
        await super().aclose()
        self.closed = True


async def test_a_client_creates_and_closes_its_own_transport() -> None:
    """A client creates its transport at the first request and closes it, so AWS shares no connections with engines."""
    created: list[ClosableTransport] = []

    def create() -> ClosableTransport:
        created.append(ClosableTransport(ssl.create_default_context(), idle_seconds=5))
        return created[0]

    aws = Aws(create)
    await aws.aclose()
    assert not created

    assert aws._transport is created[0]
    await aws.aclose()
    assert created[0].closed


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy", "FTP_PROXY"])
def test_only_a_proxy_for_http_is_a_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Exceptions from proxies, and proxies of other protocols, do not replace the gateway's own transport."""
    for variable in [variable for variable in os.environ if variable.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv(name, "169.254.169.254")

    assert isinstance(create_transport(), Transport)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_every_proxy_for_http_is_a_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Also with exceptions, which httpx's client applies."""
    monkeypatch.setenv("NO_PROXY", "other.example")
    monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert not isinstance(create_transport(), Transport)


async def test_proxies_of_the_environment_are_used(
    respond: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the environment sets a proxy, requests to AWS go through it."""
    proxy = respond(OK)
    monkeypatch.setenv("HTTP_PROXY", os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.example")
    aws = Aws()

    assert await aws.call("ssm", "GetParameter") == {"done": True}
    await aws.aclose()

    request, _ = proxy.requests[0]
    assert request.headers["host"] == "aws.example"
    assert request.headers["x-amz-target"] == "AmazonSSM.GetParameter"
