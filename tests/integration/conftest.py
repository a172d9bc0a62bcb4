"""Deployments on embedded AWS, with the sandbox's engines and a worker."""

import ssl
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

import pytest

from image_gateway.access.principals import Role
from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.event_loop import run
from sandbox.engines.comfyui_workflows import EDIT
from sandbox.engines.openai import create_app as create_openai
from sandbox.engines.state import SandboxState
from tests.aws_clients import aws_client
from tests.conftest import deployed
from tests.integration.deployment import Deployment
from tests.integration.image_server import ImageServer
from tests.integration.sandbox_engine import SandboxEngine
from tests.integration.worker_deployment import WorkerDeployment, deploy_worker
from tests.integration.worker_thread import WorkerThread
from tests.loop_time import LoopTime
from tests.resource_copies import copy_items, copy_parameter
from tests.storage_outage import OutageAws

ENGINE_URL = "http://engine.invalid"
"""In the place of an engine's URL, which is another one for each test."""


@dataclass(frozen=True)
class IssuedTokens:
    """Tokens by the names of who has them, and the table that they are stored in."""

    table: str
    tokens: dict[str, str]


@pytest.fixture(scope="session")
def issued_tokens(empty_resources: str, aws: Aws) -> Iterator[IssuedTokens]:
    """Tokens of an admin, a user and another user (`stranger`), and an invalid one (`garbage`)."""
    with deployed(empty_resources) as settings:
        deployment = Deployment(Gateway(settings, aws))
        for role in Role:
            deployment.tokens[role.name.lower()] = deployment.token(f"the {role.name.lower()}", role)
        deployment.tokens["stranger"] = deployment.token("another user", Role.USER)
        deployment.tokens["garbage"] = f"igw_{uuid.uuid4().hex}"
        yield IssuedTokens(settings.table, deployment.tokens)
        run(deployment.gateway.aclose())


@pytest.fixture
def deployment(gateway: Gateway, issued_tokens: IssuedTokens) -> Iterator[Deployment]:
    """A deployment with the issued tokens."""
    copy_items(issued_tokens.table, gateway.settings.table)
    deployment = Deployment(gateway, dict(issued_tokens.tokens))
    yield deployment
    run(deployment.gateway.aclose())


@pytest.fixture
def openai() -> SandboxState:
    """The knobs and the record of the sandbox's openai engine."""
    return SandboxState()


@pytest.fixture(scope="session")
def openai_configuration(empty_resources: str, issued_tokens: IssuedTokens, aws: Aws) -> Iterator[str]:
    """The name of a parameter with a configuration for the sandbox's openai engine at `ENGINE_URL`."""
    with deployed(empty_resources) as settings:
        copy_items(issued_tokens.table, settings.table)
        deployment = Deployment(Gateway(settings, aws), dict(issued_tokens.tokens))
        deployment.configure(
            ENABLE_IMAGE_GENERATION=True,
            IMAGE_GENERATION_MODEL="gpt-image-2",
            IMAGES_OPENAI_API_BASE_URL=f"{ENGINE_URL}/v1",
            IMAGES_OPENAI_API_KEY="planted-engine-key",
            IMAGE_ENGINE_TIMEOUT=5,
        )
        yield settings.config_parameter
        run(deployment.gateway.aclose())


@pytest.fixture
def openai_deployment(
    deployment: Deployment, openai: SandboxState, openai_configuration: str, serve: Callable[..., str]
) -> Deployment:
    """A deployment that generates with the sandbox's openai engine."""
    url = serve(create_openai(openai))
    copy_parameter(openai_configuration, deployment.gateway.settings.config_parameter, ENGINE_URL, url)
    return deployment


@pytest.fixture
def queue_deployment(openai_deployment: Deployment) -> Deployment:
    """A deployment that generates through a queue, and whose requests do not wait."""
    queue = aws_client("sqs").create_queue(QueueName=openai_deployment.gateway.settings.table)
    openai_deployment.redeploy(queue_url=queue["QueueUrl"], inline_seconds=0, wait_seconds=0)
    return openai_deployment


@pytest.fixture
def running_worker(queue_deployment: Deployment) -> Iterator[None]:
    """A worker runs the queued jobs while the test runs."""
    with WorkerThread(queue_deployment.gateway.settings, queue_deployment.gateway.aws):
        yield


@pytest.fixture
def use_edit_engine(deployment: Deployment, serve: Callable[..., str]) -> Callable[[str], SandboxEngine]:
    """Serve a sandbox engine by its name, and let the deployment edit with it."""

    def start(name: str) -> SandboxEngine:
        state = SandboxState()
        app = import_module(f"sandbox.engines.{name}").create_app(state)
        url = serve(app)
        fields = {
            "openai": {
                "IMAGE_EDIT_MODEL": "gpt-image-2",
                "IMAGES_EDIT_OPENAI_API_BASE_URL": f"{url}/v1",
                "IMAGES_EDIT_OPENAI_API_KEY": "planted-engine-key",
            },
            "gemini": {
                "IMAGE_EDIT_MODEL": "gemini-sandbox-image",
                "IMAGES_EDIT_GEMINI_API_BASE_URL": f"{url}/v1beta",
                "IMAGES_EDIT_GEMINI_API_KEY": "planted-engine-key",
            },
            "comfyui": {"IMAGES_EDIT_COMFYUI_BASE_URL": url, **EDIT.fields("IMAGES_EDIT_COMFYUI")},
            "automatic1111": {"AUTOMATIC1111_BASE_URL": url},
        }[name]
        deployment.configure(ENABLE_IMAGE_EDIT=True, IMAGE_EDIT_ENGINE=name, IMAGE_ENGINE_TIMEOUT=20, **fields)
        return SandboxEngine(name, app, state, url)

    return start


@pytest.fixture
def image_server(serve: Callable[..., str]) -> ImageServer:
    """Serve images, to which links of edits can lead."""
    server = ImageServer()
    server.url = serve(server.app())
    return server


@pytest.fixture
def worker(openai_deployment: Deployment) -> Iterator[WorkerDeployment]:
    """A worker whose deployment generates with the sandbox's openai engine."""
    worker = deploy_worker(openai_deployment.gateway)
    yield worker
    run(worker.gateway.aclose())


@pytest.fixture
def outage_aws(tls: ssl.SSLContext, event_loop_time: LoopTime) -> OutageAws:
    """A client for AWS some of whose requests can be made to fail."""
    return OutageAws(tls, event_loop_time)


@pytest.fixture
def outage_deployment(openai_deployment: Deployment, outage_aws: OutageAws) -> Deployment:
    """A deployment whose requests to AWS can be made to fail."""
    openai_deployment.redeploy(aws=outage_aws)
    return openai_deployment


@pytest.fixture
def outage_worker(outage_deployment: Deployment) -> WorkerDeployment:
    """The worker of that deployment."""
    worker = deploy_worker(outage_deployment.gateway)
    outage_deployment.gateway = worker.gateway
    return worker
