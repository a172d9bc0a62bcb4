"""The faults of the chaos test, as a client of AWS sees them."""

import asyncio
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator

import boto3
import pytest

from image_gateway.aws import Aws, AwsError
from image_gateway.aws.client import create_transport
from image_gateway.settings import Settings
from tests.chaos.faults import SERVICES, Call, Fault, FaultPlan
from tests.chaos.proxy import AwsRequest, FaultProxy
from tests.chaos.senders import is_alive, process_of
from tests.polling import until

pytestmark = pytest.mark.anyio
PUT = Call("dynamodb", "PutItem")


class Scripted(FaultPlan):
    """Lets the next request fail."""

    def __init__(self) -> None:
        super().__init__(random.Random(0), 0.0)
        self.next: Fault | None = None

    def choose(self, call: Call) -> Fault | None:  # noqa: ARG002 - every call
        fault, self.next = self.next, None
        return fault


@pytest.fixture
def plan() -> Scripted:
    return Scripted()


@pytest.fixture
async def proxy(plan: Scripted, settings: Settings) -> AsyncIterator[FaultProxy]:
    """A proxy whose requests come from process 7."""
    async with FaultProxy(plan, lambda _port: 7, lambda: os.environ["AWS_ENDPOINT_URL"]) as proxy:
        yield proxy


@pytest.fixture
async def one_attempt(proxy: FaultProxy, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aws]:
    """A client that uses the proxy, and sends each request once."""
    monkeypatch.setattr("image_gateway.aws.client.ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
    aws = Aws(lambda: create_transport(tls))
    yield aws
    await aws.aclose()


async def put(aws: Aws, settings: Settings) -> None:
    """Store an item."""
    await aws.call("dynamodb", "PutItem", TableName=settings.table, Item={"pk": {"S": "one"}})


def stored(settings: Settings) -> int:
    client = boto3.client("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    return client.scan(TableName=settings.table)["Count"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.UNAVAILABLE, Fault.THROTTLED])
async def test_a_failure_has_the_format_of_its_service(
    service: str, fault: Fault, plan: Scripted, proxy: FaultProxy, one_attempt: Aws
) -> None:
    """The gateway's client recognizes throttling, and that another attempt may succeed."""
    plan.next = fault

    with pytest.raises(AwsError) as raised:
        await one_attempt.send(service, "POST", f"{proxy.url}/", headers={})

    assert raised.value.transient
    assert raised.value.throttled is (fault is Fault.THROTTLED)


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.UNAVAILABLE, Fault.THROTTLED, Fault.CUT])
async def test_a_request_fails_and_is_not_executed(
    fault: Fault, plan: Scripted, settings: Settings, one_attempt: Aws
) -> None:
    """The client sees a transient failure, and nothing is stored."""
    plan.next = fault

    with pytest.raises(AwsError) as raised:
        await put(one_attempt, settings)

    assert raised.value.transient
    assert stored(settings) == 0


async def test_a_response_is_lost_and_the_request_was_executed(
    plan: Scripted, settings: Settings, one_attempt: Aws
) -> None:
    """The connection is cut after execution."""
    plan.next = Fault.CUT_AFTER

    with pytest.raises(AwsError):
        await put(one_attempt, settings)

    assert stored(settings) == 1


@pytest.mark.parametrize(("fault", "count"), [(Fault.SILENCE, 0), (Fault.SILENCE_AFTER, 1)])
async def test_a_silent_service_does_not_respond(
    fault: Fault, count: int, plan: Scripted, settings: Settings, one_attempt: Aws
) -> None:
    """There is no response until the client gives up; nothing is executed afterwards."""
    plan.next = fault
    request = asyncio.create_task(put(one_attempt, settings))
    await until(lambda: plan.next is None and stored(settings) == count)

    assert not request.done()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request

    assert stored(settings) == count


async def test_a_request_without_a_fault_is_forwarded(proxy: FaultProxy, settings: Settings, one_attempt: Aws) -> None:
    """Observers see the sender and the operation of the request, before it is executed and after that."""
    seen: list[tuple[int, Call | None, int]] = []

    def observe(request: AwsRequest) -> bool:
        seen.append((request.pid, request.call, stored(settings)))
        return False

    proxy.before.append(observe)
    proxy.after.append(observe)

    await put(one_attempt, settings)

    assert seen == [(7, PUT, 0), (7, PUT, 1)]


async def test_bodies_of_all_sizes_are_forwarded(proxy: FaultProxy, settings: Settings, one_attempt: Aws) -> None:
    """Large requests and responses pass unchanged, and responses without a body are complete."""
    url, data = f"{proxy.url}/{settings.bucket}/key", b"x" * 1_000_000

    put_response = await one_attempt.send("s3", "PUT", url, headers={}, body=data)
    head = await one_attempt.send("s3", "HEAD", url, headers={})
    got = await one_attempt.send("s3", "GET", url, headers={})
    deleted = await one_attempt.send("s3", "DELETE", url, headers={})

    assert (put_response, head, got, deleted) == (b"", b"", data, b"")


def test_an_outage_ends() -> None:
    """During it, every request to the service fails in the same way, and no request to another service."""
    plan = FaultPlan(random.Random(1), 0.0)

    with plan.outage("s3"):
        during = {plan.choose(Call("s3", "PUT")) for _ in range(20)}
        other = plan.choose(PUT)
    after = plan.choose(Call("s3", "PUT"))

    assert during == {plan.outages[0][1]}
    assert (other, after, plan.failures) == (None, None, 20)


def test_failures_come_in_rows() -> None:
    """Some rows are longer than the attempts of one call; the same seed chooses the same failures."""
    plan, same = (FaultPlan(random.Random(3), 0.05) for _ in range(2))
    faults = [plan.choose(PUT) for _ in range(6_000)]
    rows = "".join("x" if fault else " " for fault in faults).split()

    assert faults == [same.choose(PUT) for _ in range(6_000)]
    assert max(map(len, rows)) > 4
    assert 0 < plan.failures < 2_000
    assert set(Fault) - {Fault.CONFLICT} <= set(faults)


def test_the_sender_of_a_connection_is_found() -> None:
    """Its port leads to the process that opened it, also if closed connections to others had the same port."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
    port = 0
    for server in servers:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("127.0.0.1", port))
        client.connect(server.getsockname())
        port = client.getsockname()[1]
        if server is not servers[-1]:
            client.close()

    assert process_of(port, [1, os.getpid()]) == os.getpid()
    assert process_of(port, []) == 0
    for each in (client, *servers):
        each.close()


def test_a_process_that_does_not_exist_is_not_alive() -> None:
    """This process is alive, and one with an impossible id is not."""
    assert is_alive(os.getpid())
    assert not is_alive(2**22 + 1)


@pytest.mark.parametrize(("operation", "codes"), [("PutItem", []), ("TransactWriteItems", ["TransactionConflict"])])
async def test_a_conflict_has_the_format_of_dynamodb(
    operation: str,
    codes: list[str],
    plan: Scripted,
    one_attempt: Aws,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A transaction has a reason for each of its writes. Nothing is written."""
    monkeypatch.setattr("image_gateway.aws.client.CONFLICT_ATTEMPTS", 1)
    plan.next = Fault.CONFLICT
    write = {"TableName": settings.table, "Item": {"pk": {"S": "one"}}}

    with pytest.raises(AwsError) as raised:
        await one_attempt.call("dynamodb", operation, **({"TransactItems": [{"Put": write}]} if codes else write))

    assert [reason["Code"] for reason in raised.value.response.get("CancellationReasons", ())] == codes
    assert raised.value.conflict is not bool(codes)
    assert stored(settings) == 0


def test_only_writes_of_dynamodb_conflict() -> None:
    """Other services have no transactions."""
    plan = FaultPlan(random.Random(0), 0.0)
    plan.conflicts = 1.0
    calls = (PUT, Call("dynamodb", "GetItem"), Call("s3", "PUT"))

    assert [plan.choose(call) for call in calls] == [Fault.CONFLICT, None, None]
