"""Workers, and the engines that they use."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from starlette.types import ASGIApp

from image_gateway.event_loop import run
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests.integration.sandbox_engine import SandboxEngine
from tests.integration.worker.queued_jobs import generate_with
from tests.integration.worker_deployment import WorkerDeployment, deploy_worker

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

Serve = Callable[[ASGIApp], str]


@pytest.fixture
def edit_engine(use_edit_engine: Callable[[str], SandboxEngine]) -> SandboxEngine:
    """The sandbox's openai engine, with which the deployment edits."""
    return use_edit_engine("openai")


@pytest.fixture
def edit_worker(deployment: "Deployment", edit_engine: SandboxEngine) -> Iterator[WorkerDeployment]:
    """A worker whose deployment edits with the sandbox's openai engine."""
    worker = deploy_worker(deployment.gateway)
    yield worker
    run(worker.gateway.aclose())


@pytest.fixture
def automatic1111(openai_deployment: "Deployment", serve: Serve) -> SandboxState:
    """An AUTOMATIC1111 server that the deployment generates with."""
    return generate_with(openai_deployment, serve, "automatic1111", IMAGE_ENGINE_TIMEOUT=20)


@pytest.fixture
def comfyui(openai_deployment: "Deployment", serve: Serve) -> SandboxState:
    """A ComfyUI server that the deployment generates with."""
    return generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"), IMAGE_ENGINE_TIMEOUT=20)


@pytest.fixture
def fast_cancel_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker's cancel watch poll every 50 ms."""
    monkeypatch.setattr("image_gateway.worker.cancel_watch.POLL_SECONDS", 0.05)
