"""One engine of each kind with a server whose response the test writes, and values that no server should send."""

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import Engine, EngineResult, ImageRequest
from image_gateway.engines.registry import create_engine
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.painter import paint

PNG = paint("tiny", 16, 16)
PNG_BASE64 = base64.b64encode(PNG).decode()
LONG_NUMBER = "(a number of 5,000 digits)"
"""Is replaced by such a number in the response, because Python cannot write it."""
UNUSUAL_VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "negative": -1,
    "fraction": 1.5,
    "over 64 bits": 10**30,
    "of 5,000 digits": LONG_NUMBER,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "text": "many",
    "long base64": "//79" * 50_000,
    "long text": "ä " * 40_000,
    "half a character": "\ud800",
    "list": [1, "a", None],
    "list of objects": [{"a": {}}, {}],
    "object": {"a": [1], "images": 1, "text_tokens": "//79" * 50_000, "inputs": 1},
    "deep": json.loads("[" * 150 + "]" * 150),
}


@dataclass(frozen=True)
class UnusualServer:
    """A server of one kind.

    Attributes:
        engine: the engine's name.
        config: the engine's configuration, but for the URL.
        response: the body with one image.
        requested: the paths that were requested.
    """

    engine: str
    config: dict[str, Any]
    response: Any
    requested: list[str] = field(default_factory=list)

    def body(self, path: tuple[str | int, ...], value: Any) -> Any:
        """Return the body with another value at a path."""
        body = json.loads(json.dumps(self.response))
        inner = body
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        return body

    def start(self, serve: Callable[[ASGIApp], str]) -> "RunningServer":
        """Serve a body, which can be replaced at any time."""
        return RunningServer(self, serve)

    async def generate(
        self, serve: Callable[[ASGIApp], str], connect: Callable[..., Connection], body: Any, **fields: Any
    ) -> EngineResult:
        """Generate an image with an engine whose server sends this body."""
        return await self.start(serve).generate(connect, body, **fields)


class RunningServer:
    """An HTTP server of one kind. Starting one takes longer than a request."""

    def __init__(self, server: UnusualServer, serve: Callable[[ASGIApp], str]) -> None:
        self._server = server
        self._content = ""
        self._submitted: list[str] = []
        routes = [Route("/{path:path}", self._respond, methods=["GET", "POST"])]
        self._url = serve(Starlette(routes=routes))

    async def generate(self, connect: Callable[..., Connection], body: Any, **fields: Any) -> EngineResult:
        """Generate an image with an engine whose server sends this body."""
        self._content = json.dumps(body).replace(f'"{LONG_NUMBER}"', "1" * 5_000)
        url_field = {
            "openai": "IMAGES_OPENAI_API_BASE_URL",
            "gemini": "IMAGES_GEMINI_API_BASE_URL",
            "comfyui": "COMFYUI_BASE_URL",
            "automatic1111": "AUTOMATIC1111_BASE_URL",
        }[self._server.engine]
        config = ImagesConfig.model_validate({**self._server.config, url_field: self._url})
        engine: Engine = create_engine(self._server.engine, config, connect())
        request = ImageRequest(
            **{"job_id": str(uuid.uuid4()), "prompt": "a fox", "model": "a-model", "size": Size(16, 16), **fields}
        )
        return await engine.generate(request)

    async def _respond(self, request: Request) -> Response:
        path = request.url.path
        self._server.requested.append(path)
        if self._server.engine != "comfyui":
            return Response(self._content, media_type="application/json")
        if path == "/prompt":
            self._submitted.append((await request.json())["prompt_id"])
            return Response(json.dumps({"prompt_id": self._submitted[-1]}))
        if path == "/queue":
            return Response('{"queue_running": [], "queue_pending": []}')
        if path == "/view":
            return Response(PNG)
        run_id = path.rpartition("/")[2]
        return Response(f'{{"{run_id}": {self._content}}}' if run_id in self._submitted else "{}")


_WORKFLOW = {
    "1": {"class_type": "KSampler", "inputs": {"seed": 1}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}
FILE = {"filename": "a.png", "subfolder": "", "type": "output"}

SERVERS = {
    "openai": UnusualServer(
        "openai", {}, {"created": 1, "data": [{"b64_json": PNG_BASE64}], "usage": {"total_tokens": 1}}
    ),
    "gemini": UnusualServer(
        "gemini",
        {"IMAGES_GEMINI_ENDPOINT_METHOD": "generateContent"},
        {
            "candidates": [{"content": {"parts": [{}, {"inlineData": {"data": PNG_BASE64}}]}}],
            "usageMetadata": {"totalTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]},
        },
    ),
    "imagen": UnusualServer(
        "gemini", {"IMAGES_GEMINI_ENDPOINT_METHOD": "predict"}, {"predictions": [{"bytesBase64Encoded": PNG_BASE64}]}
    ),
    "automatic1111": UnusualServer("automatic1111", {}, {"images": [PNG_BASE64], "parameters": {}, "info": {}}),
    "comfyui": UnusualServer(
        "comfyui",
        {
            "COMFYUI_WORKFLOW": json.dumps(_WORKFLOW),
            "COMFYUI_WORKFLOW_NODES": [{"type": "seed", "key": "seed", "node_ids": ["1"]}],
        },
        {
            "prompt": [1, "id", _WORKFLOW, {}, ["2"]],
            "outputs": {"2": {"images": [FILE]}},
            "status": {"status_str": "success", "completed": True, "messages": [["execution_start", {}]]},
            "meta": {},
        },
    ),
}
