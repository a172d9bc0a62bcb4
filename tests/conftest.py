"""Real parts for every test: HTTP servers on free ports, and AWS as moto's server embeds it."""

# This starts the measurement, so it comes before what is measured.
from tests.measured_coverage import (  # noqa: F401 - hooks
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)

# isort: split
import asyncio
import os
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
from sandbox.servers import listening_socket
from sandbox.template import Template
from tests.aws_clients import aws_client
from tests.distribution import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401 - hooks
from tests.first_collection import pytest_collection  # noqa: F401 - a hook
from tests.garbage import pytest_collection_finish  # noqa: F401 - a hook
from tests.loop_time import LoopTime, controlled_time
from tests.polling import DEADLINE_SECONDS
from tests.resource_copies import copy_resources, remove_resources

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# Every run has the same examples; `make fuzz` generates new ones.
examples.register_profile("bounded", derandomize=True, deadline=None)
examples.register_profile("thorough", max_examples=2_000, deadline=None, print_blob=True)
examples.load_profile("bounded")


@pytest.fixture
def anyio_backend() -> str:
    """Return asyncio, whose event loop Lambda uses."""
    return "asyncio"


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], str]]:
    """Serve an ASGI application over HTTP on a free port of 127.0.0.1; return its base URL."""
    with serving() as start:
        yield start


@contextmanager
def serving() -> Iterator[Callable[[ASGIApp], str]]:
    """Serve ASGI applications, each on a free port of 127.0.0.1, for the life of the block."""
    running: list[uvicorn.Server] = []

    def start(app: ASGIApp) -> str:
        listener = listening_socket()
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        running.append(server)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)  # uvicorn gives no event to wait for
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    # A server takes 0.2 s to stop, which no test needs to wait for.
    for server in running:
        server.should_exit = True


@pytest.fixture(scope="session")
def tls() -> ssl.SSLContext:
    """The TLS context of tests' clients: loading the certificate authorities takes longer than most tests."""
    return ssl.create_default_context()


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    """Moto's server, which the environment of this process points to."""
    with EmbeddedAws() as aws:
        os.environ.update(aws.variables)
        yield aws


@pytest.fixture(scope="session")
def empty_resources(embedded_aws: EmbeddedAws) -> str:
    """The name of the template's bucket and tables, which stay empty: they are what deployments are copied from."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    template = Template()
    template.values.update(Bucket=name, Table=name, UsageTable=f"{name}-usage")
    embedded_aws.deploy(template, "AWS::S3::Bucket", "AWS::DynamoDB::Table")
    return name


@pytest.fixture
def settings(empty_resources: str) -> Iterator[Settings]:
    """The settings of a new, empty deployment; its configuration and tokens are read without a cache."""
    with deployed(empty_resources) as settings:
        yield settings


@contextmanager
def deployed(empty_resources: str) -> Iterator[Settings]:
    """Create a new, empty deployment with its own bucket and table, for the life of the block."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    copy_resources(empty_resources, name)
    yield Settings(
        config_parameter=f"/image-gateway/{name}/config",
        bucket=name,
        table=name,
        usage_table=f"{name}-usage",
        config_ttl_seconds=0,
        token_ttl_seconds=0,
    )
    # moto copies every existing table for each transaction.
    remove_resources(name)


@pytest.fixture(scope="session")
def dynamodb(embedded_aws: EmbeddedAws) -> "DynamoDBClient":
    """boto3's client of the embedded DynamoDB, created once because that takes long."""
    return aws_client("dynamodb")


class AnyLoopTransport(httpx.AsyncBaseTransport):
    """The gateway's transport, which keeps connections open only on the process's event loop.

    Connections cannot outlive their event loop.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._pooled = Transport(tls, idle_seconds=20)
        self._unpooled = Transport(tls, idle_seconds=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_process_loop = asyncio.get_running_loop() is event_loop._loop
        return await (self._pooled if is_process_loop else self._unpooled).handle_async_request(request)

    async def aclose(self) -> None:
        await self._pooled.aclose()


@pytest.fixture(scope="session")
def aws(embedded_aws: EmbeddedAws, tls: ssl.SSLContext) -> Iterator[Aws]:
    """The embedded AWS, usable from any event loop and any thread."""
    aws = Aws(lambda: AnyLoopTransport(tls))
    yield aws
    event_loop.run(aws.aclose())


@pytest.fixture
def event_loop_time() -> Iterator[LoopTime]:
    """The time of the event loop that handlers run on."""
    with controlled_time(event_loop.event_loop()) as loop_time:
        yield loop_time


@pytest.fixture
def gateway(settings: Settings, aws: Aws) -> Gateway:
    """A gateway of a new, empty deployment."""
    return Gateway(settings, aws)
