"""Engines whose work the worker can stop."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from starlette.types import ASGIApp

from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests.integration.worker.queued_jobs import generate_with

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

Serve = Callable[[ASGIApp], str]


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
