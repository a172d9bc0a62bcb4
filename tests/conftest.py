"""Real parts for every test: HTTP servers on free ports, and the AWS that moto's server embeds."""

import asyncio
import os
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
import uvicorn
from hypothesis import settings as examples
from starlette.types import ASGIApp

from image_gateway import event_loop
from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.net.transport import Transport
from image_gateway.settings import Settings
from sandbox.embedded_aws import EmbeddedAws
from sandbox.servers import listening
from sandbox.template import Template
from tests.loop_time import LoopTime, time_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# The same examples at every run. `make fuzz` looks for new ones.
examples.register_profile("bounded", derandomize=True, deadline=None)
examples.register_profile("thorough", max_examples=2_000, deadline=None, print_blob=True)
examples.load_profile("bounded")


@pytest.fixture
def anyio_backend() -> str:
    """Lambda's event loop is asyncio's."""
    return "asyncio"


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], str]]:
    """Serve an ASGI application over HTTP on a free port of 127.0.0.1; gives its base URL."""
    with serving() as start:
        yield start


@contextmanager
def serving() -> Iterator[Callable[[ASGIApp], str]]:
    """Servers of ASGI applications, each on a free port of 127.0.0.1, for the life of the block."""
    running: list[uvicorn.Server] = []

    def start(app: ASGIApp) -> str:
        listener = listening()
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        running.append(server)
        deadline = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)  # uvicorn gives no event to wait for
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    # It takes a server 0.2 s to stop, which nobody has to wait for.
    for server in running:
        server.should_exit = True


@pytest.fixture(scope="session")
def tls() -> ssl.SSLContext:
    """How tests' clients speak TLS: to load the authorities takes longer than most of what clients are for."""
    return ssl.create_default_context()


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    """Moto's server, and this process's environment pointing to it."""
    with EmbeddedAws() as aws:
        os.environ.update(aws.variables)
        yield aws


@pytest.fixture
def settings(embedded_aws: EmbeddedAws, dynamodb: "DynamoDBClient") -> Iterator[Settings]:
    """The settings of a new, empty deployment: every read of its configuration and its tokens is fresh."""
    with deployed(embedded_aws, dynamodb) as made:
        yield made


@contextmanager
def deployed(embedded_aws: EmbeddedAws, dynamodb: "DynamoDBClient") -> Iterator[Settings]:
    """A new, empty deployment, for the life of the block: a bucket and a table, which nothing else uses."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    template = Template()
    template.values.update(Bucket=name, Table=name)
    embedded_aws.deploy(template, "AWS::S3::Bucket", "AWS::DynamoDB::Table")
    yield Settings(
        config_parameter=f"/image-gateway/{name}/config",
        bucket=name,
        table=name,
        config_ttl_seconds=0,
        token_ttl_seconds=0,
    )
    # moto copies every table there is for each transaction.
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.delete_table(TableName=name)


@pytest.fixture(scope="session")
def dynamodb(embedded_aws: EmbeddedAws) -> "DynamoDBClient":
    """boto3's client of the embedded DynamoDB, made once: that takes long."""
    return boto3.client("dynamodb")


class ForAnyLoop(httpx.AsyncBaseTransport):
    """The gateway's own transport. Connections die with their event loop: only that of the process keeps some."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._kept = Transport(tls, idle_seconds=20)
        self._used_once = Transport(tls, idle_seconds=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        of_the_process = asyncio.get_running_loop() is event_loop._loop
        return await (self._kept if of_the_process else self._used_once).handle_async_request(request)

    async def aclose(self) -> None:
        await self._kept.aclose()


@pytest.fixture(scope="session")
def aws(embedded_aws: EmbeddedAws, tls: ssl.SSLContext) -> Iterator[Aws]:
    """The embedded AWS, for any event loop and any thread."""
    made = Aws(lambda: ForAnyLoop(tls))
    yield made
    event_loop.run(made.aclose())


@pytest.fixture
def handlers_time() -> Iterator[LoopTime]:
    """The time of the event loop that handlers run on."""
    with time_of(event_loop.event_loop()) as made:
        yield made


@pytest.fixture
def gateway(settings: Settings, aws: Aws) -> Gateway:
    return Gateway(settings, aws)
