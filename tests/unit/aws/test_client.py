"""Calls of AWS: what is sent, what is tried again, and what a failure tells."""

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
    """Gives its answers in turn, the last one again and again, and keeps what it was asked."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.requested: list[tuple[Request, bytes]] = []
        self.app = Starlette()
        self.app.add_route("/{path:path}", self._answer, methods=["GET", "POST", "PUT"])

    async def _answer(self, request: Request) -> Response:
        self.requested.append((request, await request.body()))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Pause:
    """Waits are noted instead of waited for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pause() -> Pause:
    return Pause()


@pytest.fixture
async def client(pause: Pause) -> AsyncIterator[Aws]:
    """AWS over connections that are kept, as on Lambda."""
    aws = Aws(create_transport, sleep=pause)
    yield aws
    await aws.aclose()


@pytest.fixture
def answered(serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Service]:
    """Have the one endpoint of all services give these answers."""
    for name, value in {"REGION": "eu-central-1", "ACCESS_KEY_ID": "AKID", "SECRET_ACCESS_KEY": "planted"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "planted-token")

    def start(*answers: Response) -> Service:
        service = Service(*answers)
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
async def test_a_call_says_its_operation(
    client: Aws, answered: Callable[..., Service], service: str, operation: str, version: str, target: str
) -> None:
    """The protocol, the operation and the role's token are headers; answers are never compressed."""
    requested = answered(OK).requested

    assert await client.call(service, operation, Name="grün", Count=1) == {"done": True}

    [(request, body)] = requested
    assert json.loads(body) == {"Name": "grün", "Count": 1}
    assert request.headers["content-type"] == f"application/x-amz-json-{version}"
    assert request.headers["x-amz-target"] == target
    assert request.headers["x-amz-security-token"] == "planted-token"
    assert request.headers["accept-encoding"] == "identity"
    assert f"/eu-central-1/{service}/aws4_request" in request.headers["authorization"]


async def test_an_empty_answer_is_an_empty_document(client: Aws, answered: Callable[..., Service]) -> None:
    """Some operations have nothing to say."""
    answered(Response(b""))

    assert await client.call("ssm", "DeleteParameter", Name="x") == {}


async def test_every_service_answers(aws: Aws, settings: Settings) -> None:
    """A value comes back from each as it was sent."""
    item = {"pk": {"S": "token#ü"}, "expires_at": {"N": "1"}, "done": {"BOOL": True}}

    await aws.call("dynamodb", "PutItem", TableName=settings.table, Item=item)
    found = await aws.call("dynamodb", "GetItem", TableName=settings.table, Key={"pk": item["pk"]})
    name = f"/{uuid.uuid4()}"
    put = await aws.call("ssm", "PutParameter", Name=name, Value="ü", Type="SecureString")
    parameter = (await aws.call("ssm", "GetParameter", Name=name, WithDecryption=True))["Parameter"]
    queue = await aws.call("sqs", "CreateQueue", QueueName=settings.table)
    sent = await aws.call("sqs", "SendMessage", QueueUrl=queue["QueueUrl"], MessageBody="ü")
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    reported = await aws.call("events", "PutEvents", Entries=[entry])

    assert found["Item"] == item
    assert put["Version"] == 1
    assert (parameter["Value"], parameter["Version"]) == ("ü", 1)
    assert sent["MessageId"]
    assert reported["FailedEntryCount"] == 0


PASSING = [failure(status) for status in (500, 502, 503, 504)]
PASSING += [failure(400, "RequestTimeout"), failure(400, "TransactionConflictException")]
PASSING += [Response(b"<html>Service Unavailable</html>", 503)]


@pytest.mark.parametrize("answer", PASSING, ids=lambda answer: f"{answer.status_code} {answer.body[:30]!r}")
async def test_what_passes_is_tried_again_soon(
    client: Aws, pause: Pause, answered: Callable[..., Service], answer: Response
) -> None:
    """Up to four attempts in all; the waits are random parts of times that double."""
    service = answered(answer, answer, answer, OK)

    assert await client.call("dynamodb", "GetItem") == {"done": True}

    assert len(service.requested) == 4
    assert all(0 <= wait <= most for wait, most in zip(pause.seconds, (0.05, 0.1, 0.2), strict=True))


@pytest.mark.parametrize("code", sorted(THROTTLED))
async def test_throttling_is_waited_for(
    client: Aws, pause: Pause, answered: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Who is asked to slow down waits for longer, and gives up after four attempts with the service's code."""
    monkeypatch.setattr("image_gateway.aws.client.random.random", lambda: 1.0)
    service = answered(failure(400, f"com.amazonaws#{code}", message="Slow down"))

    with pytest.raises(AwsError, match="Slow down") as caught:
        await client.call("dynamodb", "GetItem")

    assert caught.value.code == code
    assert len(service.requested) == 4
    assert pause.seconds == [1, 2, 4]


REFUSALS = {
    "namespace": (failure(400, "com.amazonaws.sqs#QueueDoesNotExist", message="no"), "QueueDoesNotExist"),
    "address": (failure(400, "AccessDeniedException:http://internal.amazon.com/coral/", Message="no"), "AccessDenied"),
    "bare": (failure(400, "ParameterNotFound"), "ParameterNotFound"),
    "xml": (Response(b"<?xml?>\n<Error><Code>NoSuchKey</Code><Message>a &amp; b</Message></Error>", 404), "NoSuchKey"),
    "nothing": (Response(b"", 404), "404"),
    "no object": (Response(b'["__type"]', 403), "403"),
    "another document": (Response(b'{"message": "Forbidden"}', 403), "403"),
    "a redirect": (Response(b"", 307, {"location": "http://elsewhere.example"}), "307"),
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_has_the_services_code(client: Aws, answered: Callable[..., Service], kind: str) -> None:
    """It is not tried again, in whichever form the service says it."""
    answer, code = REFUSALS[kind]
    service = answered(answer)

    with pytest.raises(AwsError) as caught:
        await client.call("dynamodb", "GetItem")

    assert caught.value.code.removesuffix("Exception") == code
    assert caught.value.status == answer.status_code
    assert len(service.requested) == 1


async def test_why_a_transaction_was_canceled(client: Aws, answered: Callable[..., Service]) -> None:
    """The reasons stand beside the code."""
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}]
    answered(failure(400, "x#TransactionCanceledException", CancellationReasons=reasons))

    with pytest.raises(AwsError) as caught:
        await client.call("dynamodb", "TransactWriteItems")

    assert caught.value.response["CancellationReasons"] == reasons


async def test_an_answer_that_is_no_json(client: Aws, answered: Callable[..., Service]) -> None:
    """A proxy's page is a failure like others, not a defect."""
    answered(Response(b"<html>"))

    with pytest.raises(AwsError, match="InvalidResponse"):
        await client.call("ssm", "GetParameter")


async def test_nobody_answers(client: Aws, pause: Pause, answered: Callable[..., Service], monkeypatch: Any) -> None:
    """The code is the kind of the failure."""
    answered(OK)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(AwsError) as caught:
        await client.call("ssm", "GetParameter")

    assert (caught.value.code, caught.value.status) == ("ConnectError", 0)
    assert len(pause.seconds) == 3


class Hanging:
    """Answers once for each connection and then hangs up when asked again, like a server that has closed meanwhile."""

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


async def test_a_kept_connection_that_died_is_replaced(
    client: Aws, answered: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections outlive an invocation; one that the service has closed costs a second attempt, not the request."""
    answered(OK)
    hanging = Hanging()
    async with await asyncio.start_server(hanging, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for _ in range(2):
            assert await client.call("ssm", "GetParameter") == {}
        await client.aclose()

    assert (hanging.connections, hanging.requests) == (2, 3)


@pytest.mark.parametrize("kind", ["refused", "unreached"])
async def test_errors_give_nothing_away(
    client: Aws, answered: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Neither the error nor its traceback shows a key, a token, a signature or what was sent."""
    answered(failure(400, "ValidationException", message="Value 'planted prompt' failed to satisfy constraint"))
    if kind == "unreached":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(AwsError) as caught:
        await client.call("ssm", "PutParameter", Value="planted prompt")

    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    # Source lines of this test stand in the traceback too.
    shown = "\n".join(line for line in shown.splitlines() if "await client.call(" not in line)
    for secret in ("planted", "Signature", "AKID"):
        assert secret not in shown


class Noting(Transport):
    """Tells whether it was closed."""

    closed = False

    async def aclose(self) -> None:
        await super().aclose()
        self.closed = True


async def test_the_gateways_own_client_is_not_for_aws() -> None:
    """No proxy of engines, and no connection of theirs, is shared: a transport of its own, closed with its owner."""
    made: list[Noting] = []

    def create() -> Noting:
        made.append(Noting(ssl.create_default_context(), idle_seconds=5))
        return made[0]

    aws = Aws(create)
    await aws.aclose()
    assert not made

    assert aws._transport is made[0]
    await aws.aclose()
    assert made[0].closed


async def test_proxies_of_the_environment_lead_to_aws(
    answered: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a network whose only way out is a proxy, calls of AWS take it."""
    proxy = answered(OK)
    monkeypatch.setenv("HTTP_PROXY", os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.example")
    aws = Aws()

    assert await aws.call("ssm", "GetParameter") == {"done": True}
    await aws.aclose()

    request, _ = proxy.requested[0]
    assert request.headers["host"] == "aws.example"
    assert request.headers["x-amz-target"] == "AmazonSSM.GetParameter"
