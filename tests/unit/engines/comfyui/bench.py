"""A sandbox server of ComfyUI, and engines for which time passes only while they wait."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.protocol import EngineResult, ImageRequest
from image_gateway.models.config import ImagesConfig
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import SandboxState
from tests import web
from tests.polling import until
from tests.unit.engines.comfyui.requests_and_workflows import Connect, Serve

if TYPE_CHECKING:
    from sandbox.engines.comfyui_queue import RunQueue


class Bench:
    """A sandbox server, and engines for it."""

    def __init__(self, serve: Serve, app: Starlette, state: SandboxState, connect: Connect, sleeps: Any) -> None:
        self.url = serve(app)
        self.serve = serve
        self.app = app
        self.state = state
        self.sleeps = sleeps
        self.run_queue: RunQueue = app.state.run_queue
        self.connect = connect

    def engine(self, timeout: float = 10.0, sample: Sample = CHECKPOINT) -> ComfyUIEngine:
        """An engine for which time passes only while it waits."""
        config = ImagesConfig(COMFYUI_BASE_URL=self.url, **sample.fields())
        return ComfyUIEngine(config, self.connect(timeout=timeout), clock=lambda: sum(self.sleeps.seconds))

    def start(self, request: ImageRequest, **settings: Any) -> "asyncio.Task[EngineResult]":
        # A day is long enough: waits take no time here.
        return asyncio.create_task(self.engine(**{"timeout": 86_400.0, **settings}).generate(request))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition holds on the server."""
        await until(condition)

    async def call(self, method: str, path: str, body: Any = None) -> None:
        async with httpx.AsyncClient(verify=web.TLS, base_url=self.url, trust_env=False) as client:
            (await client.request(method, path, json=body)).raise_for_status()

    def posted(self, path: str) -> list[Any]:
        return [request.json for request in self.state.record if (request.method, request.path) == ("POST", path)]
