"""A connection for engines under test, a server, and fixtures for tests of the `openai` engine."""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.engines.server import EngineServer
from image_gateway.errors import PrivateAddress
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.openai import create_app
from sandbox.engines.state import SandboxState
from tests.loop_time import LoopTime, controlled_time


@dataclass
class RecordedSleeps:
    """Replaces sleeping: records each wait, in seconds, and returns at once."""

    seconds: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
async def loop_time(anyio_backend: str) -> AsyncIterator[LoopTime]:
    """The time of the test's event loop: engines' timeouts end when it is put forward."""
    with controlled_time(asyncio.get_running_loop()) as made:
        yield made


@pytest.fixture
def sleeps() -> RecordedSleeps:
    return RecordedSleeps()


@pytest.fixture
async def connect(
    sleeps: RecordedSleeps, tls: ssl.SSLContext, anyio_backend: str
) -> AsyncIterator[Callable[..., Connection]]:
    """Make a `Connection` with `timeout` in seconds and `secrets`. URLs of other origins are refused."""
    async with httpx.AsyncClient(trust_env=False, verify=tls) as client:

        async def refuse(url: str) -> bytes:
            raise PrivateAddress(f"{url} is not a public address")

        def make(timeout: float = 10.0, secrets: tuple[str, ...] = ()) -> Connection:
            return Connection(client, refuse, timeout, secrets, sleeps.sleep, convert_image=Decoder().convert_image)

        yield make


@pytest.fixture
def png() -> Callable[[int], bytes]:
    """Make a small PNG of one shade of gray, which its number determines."""

    def make(shade: int = 0) -> bytes:
        out = io.BytesIO()
        Image.new("L", (16, 16), shade).save(out, "PNG")
        return out.getvalue()

    return make


@pytest.fixture
def make_request() -> Callable[..., ImageRequest]:
    """Make a request for a small image in which the caller set every given field."""

    def make(**fields: Any) -> ImageRequest:
        fields_set = {"prompt": "a fox", "size": Size(64, 64), **fields}
        return ImageRequest(job_id="job", requested=frozenset(fields_set), **fields_set)

    return make


@pytest.fixture
def openai_state() -> SandboxState:
    """The state of the sandbox's OpenAI server."""
    return SandboxState()


@pytest.fixture
def openai_url(serve: Callable[[ASGIApp], str], openai_state: SandboxState) -> str:
    """The base URL of the sandbox's OpenAI server."""
    return serve(create_app(openai_state)) + "/v1"


@pytest.fixture
def openai_engine(openai_url: str, connect: Callable[..., Connection]) -> Callable[..., OpenAIEngine]:
    """Make an `openai` engine for the sandbox's server, or for the given configuration."""

    def make(
        connection: Connection | None = None,
        *,
        url: str = openai_url,
        key: str = "sk-test",
        version: str = "",
        params: dict[str, Any] | None = None,
        extra: dict[str, str] | list[str] | None = None,
        edit: bool = False,
    ) -> OpenAIEngine:
        prefix = "IMAGES_EDIT_OPENAI_API" if edit else "IMAGES_OPENAI_API"
        named = {f"{prefix}_BASE_URL": url, f"{prefix}_KEY": key, f"{prefix}_VERSION": version}
        config = ImagesConfig.model_validate(
            {**named, "IMAGES_OPENAI_API_PARAMS": params, "IMAGES_OPENAI_API_EXTRA_FIELDS": extra or {}}
        )
        return OpenAIEngine(config, connection or connect(), edit=edit)

    return make


@pytest.fixture
def state() -> SandboxState:
    """The state of `server`."""
    return SandboxState()


@pytest.fixture
def server(serve: Callable[[ASGIApp], str], connect: Callable[..., Connection], state: SandboxState) -> EngineServer:
    """A server that responds with `{}` to every request, unless a fault is set."""

    async def anything(request: Request) -> Response:
        await state.record_request(request)
        return await state.apply_knobs(request) or JSONResponse({})

    app = Starlette(routes=[Route("/api/{path:path}", anything, methods=["GET", "POST"])])
    return EngineServer(connect(), "engine", f"{serve(app)}/api", headers={"x-key": "k"}, params={"version": "1"})
