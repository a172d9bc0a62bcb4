"""The comfyui engine and the sandbox's ComfyUI server that it calls."""

from typing import Any

import pytest
from starlette.applications import Starlette

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.models.config import ImagesConfig
from sandbox.engines.comfyui import create_app
from sandbox.engines.comfyui_queue import RunQueue
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import SandboxState
from tests.unit.engines.comfyui.bench import Bench
from tests.unit.engines.comfyui.captures import Recorded
from tests.unit.engines.comfyui.requests_and_workflows import Connect, MakeEngine, Serve


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def app(state: SandboxState) -> Starlette:
    return create_app(state)


@pytest.fixture
def run_queue(app: Starlette) -> RunQueue:
    """The server's queue and files."""
    run_queue: RunQueue = app.state.run_queue
    return run_queue


@pytest.fixture
async def make_engine(serve: Serve, connect: Connect, app: Starlette) -> MakeEngine:
    """Make an engine for the sandbox's server, with a sample workflow and further configuration fields."""
    url = serve(app)

    def make_engine(sample: Sample = CHECKPOINT, timeout: float = 10.0, **fields: Any) -> ComfyUIEngine:
        config = ImagesConfig(**{"COMFYUI_BASE_URL": url, **sample.fields(), **fields})
        return ComfyUIEngine(config, connect(timeout=timeout, secrets=tuple(config.secrets())))

    return make_engine


@pytest.fixture
async def bench(serve: Serve, connect: Connect, app: Starlette, state: SandboxState, sleeps: Any) -> Bench:
    return Bench(serve, app, state, connect, sleeps)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()
