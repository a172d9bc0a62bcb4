"""Comfy Cloud, against a server with its differences from ComfyUI."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.engines.comfyui import cloud
from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.errors import EngineRejected, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.models.servers import Auth, ServerAccess
from sandbox.engines.comfy_cloud import FILES_URL, create_app
from sandbox.engines.comfyui_queue import RunQueue
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import SandboxState
from tests.polling import LONG, until
from tests.unit.engines.comfyui.requests_and_workflows import (
    Connect,
    Serve,
    image_request,
    workflow_without_sampling,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette

pytestmark = pytest.mark.anyio

KEY = "comfyui-key-1"


class CloudEngine:
    """Makes engines for the server, and serves the files behind its signed URLs."""

    def __init__(self, url: str, connect: Connect, run_queue: RunQueue) -> None:
        self._url, self._connect, self.run_queue = url, connect, run_queue
        self.fetched: list[str] = []

    def make(self, sample: Sample = CHECKPOINT, key: str = KEY) -> ComfyUIEngine:
        config = ImagesConfig(**{"COMFYUI_BASE_URL": self._url, "COMFYUI_API_KEY": key, **sample.fields()})
        return ComfyUIEngine(config, replace(self._connect(), fetch=self._fetch))

    async def _fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        name = url.removeprefix(FILES_URL).partition("?")[0]
        return next(content for (*_, filename), content in self.run_queue.files.items() if filename == name)


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def engine(serve: Serve, connect: Connect, state: SandboxState, monkeypatch: pytest.MonkeyPatch) -> CloudEngine:
    monkeypatch.setattr(cloud, "CLOUD_HOSTS", {"127.0.0.1"})
    app: Starlette = create_app(state, KEY)
    return CloudEngine(serve(app), connect, app.state.run_queue)


async def test_image_is_made_by_a_job_and_fetched_from_its_signed_url(engine: CloudEngine, state: SandboxState) -> None:
    """Paths are below `/api`, the key is in Comfy's header, and the signed URL is fetched as any foreign link."""
    result = await engine.make().generate(image_request())

    assert len(result.images) == 1
    assert all(request.path.startswith("/api/") for request in state.record)
    assert all(request.headers["x-api-key"] == KEY for request in state.record)
    assert all("authorization" not in request.headers for request in state.record)
    (url,) = engine.fetched
    assert url.startswith(FILES_URL)


@pytest.mark.parametrize("url", ["https://cloud.comfy.org", "https://cloud.comfy.org/api"])
async def test_cloud_is_known_by_its_host(url: str) -> None:
    """The base URL may be with and without the prefix of all its paths."""
    assert cloud.is_cloud(url)
    assert cloud.cloud_url(url) == "https://cloud.comfy.org/api"
    assert not cloud.is_cloud("https://cloud.comfy.org.evil.example")


async def test_run_of_an_earlier_attempt_is_found_again(engine: CloudEngine, state: SandboxState) -> None:
    """A restarted job does not pay for its run twice."""
    request = image_request()
    await engine.make().generate(request)

    await engine.make().generate(request)

    assert len([sent for sent in state.record if sent.path == "/api/prompt"]) == 1


async def test_failed_run_is_an_error_with_its_node(engine: CloudEngine) -> None:
    """The error of a job is that of its node."""
    failing = workflow_without_sampling(
        **{
            "3": {"class_type": "SandboxFail", "inputs": {"image": ["1", 0], "message": "out of memory"}},
        }
    )

    with pytest.raises(EngineUnavailable, match=r"node 3 \(SandboxFail\): out of memory"):
        await engine.make(failing).generate(image_request())


async def test_wrong_key_is_refused(engine: CloudEngine) -> None:
    """The engine's error text is shown, and the key is not."""
    with pytest.raises(EngineRejected) as caught:
        await engine.make(key="comfyui-wrong-key").verify()

    assert "comfyui-wrong-key" not in caught.value.detail


async def test_run_is_canceled_as_a_job(engine: CloudEngine, state: SandboxState) -> None:
    """A run that has not ended is canceled by its id, and no other one is."""
    state.knobs.latency = LONG
    request = image_request()
    running = asyncio.create_task(engine.make().generate(request))
    await until(lambda: engine.run_queue.running)

    await engine.make().cancel(request.job_id)

    canceled = [sent.path for sent in state.record if sent.path.endswith("/cancel")]
    assert canceled == [f"/api/jobs/{request.job_id}/cancel"]
    with pytest.raises(EngineUnavailable):
        await running


@pytest.mark.parametrize(("auth", "sent"), [("auto", True), ("x-api-key", True), ("basic", False)])
async def test_password_is_not_sent_as_a_key_of_partner_nodes(connect: Connect, auth: Auth, sent: bool) -> None:
    """Everybody who sees the server's queue would see it."""
    fields: dict[str, Any] = {"COMFYUI_BASE_URL": "http://gpu-1:8188", "COMFYUI_API_KEY": "user:password-1"}
    access = ServerAccess("gpu-1", auth)
    engine = ComfyUIEngine(ImagesConfig().with_access(access, fields), replace(connect(), access=access))

    assert engine._partner_key == ("user:password-1" if sent else "")
