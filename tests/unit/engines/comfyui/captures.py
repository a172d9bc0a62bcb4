"""Recorded traffic of ComfyUI 0.3.64, and a server that replays it."""

import json
import re
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.comfyui.server import ComfyUIServer
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineResult, ImageRequest
from image_gateway.models.config import ImagesConfig
from tests.unit.engines.comfyui.requests_and_workflows import Connect, Serve

CAPTURES = Path(__file__).parents[3] / "data" / "captures" / "comfyui"


def capture(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


def response_of(recorded: dict[str, Any]) -> Response:
    """Return the recorded response."""
    if "json" in recorded:
        return JSONResponse(recorded["json"], recorded["status"])
    return Response(recorded["body"], recorded["status"], media_type=recorded["content_type"])


class Recorded:
    """A server that sends recorded responses. Each list of responses is used in order; its last one is repeated."""

    def __init__(self) -> None:
        self.answers: dict[str, list[dict[str, Any]]] = {"GET /queue": [capture("queue_idle")["response"]]}
        self.requested: list[str] = []
        self.bodies: list[Any] = []

    def add(self, route: str, *recorded: dict[str, Any]) -> None:
        self.answers[route] = list(recorded)

    def app(self) -> Starlette:
        async def respond(request: Request) -> Response:
            requested = f"{request.method} {request.url.path}"
            self.requested.append(requested)
            if request.method == "POST" and request.headers.get("content-type") == "application/json":
                self.bodies.append(await request.json())
            if request.url.path.endswith("/view") and "GET /view" not in self.answers:
                query = request.query_params
                return Response(f"{query['type']}:{query['subfolder']}:{query['filename']}")
            name = next(route for route in self.answers if re.fullmatch(route, requested))
            left = self.answers[name]
            return response_of(left.pop(0) if len(left) > 1 else left[0])

        return Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])

    def run(self, recorded: dict[str, Any]) -> None:
        """Add a recorded run: no entry before its submission, then the polled responses."""
        nothing = capture("history_unknown_id")["response"]
        prompt_id = recorded["post"]["response"]["json"]["prompt_id"]
        polls = [nothing for poll in recorded["history_polls"] if poll == "{}"]
        self.add("POST /prompt", recorded["post"]["response"])
        self.add(f"GET /history/{prompt_id}", *polls, recorded["history"]["response"])
        self.add("GET /history/.*", nothing)
        running = {"queue_running": [[0, prompt_id, {}, {}, []]], "queue_pending": []}
        idle = capture("queue_idle")["response"]
        self.add("GET /queue", idle, {"status": 200, "json": running})


def run_of(name: str) -> dict[str, Any]:
    """Return a recorded run. If only its history was recorded, the response to its submission is added."""
    run = capture(name)
    if "post" not in run:
        ((prompt_id, entry),) = run["history"]["response"]["json"].items()
        submitted = {"prompt_id": prompt_id, "number": entry["prompt"][0], "node_errors": {}}
        run["post"] = {"request": {"json": {"prompt": entry["prompt"][2]}}, "response": {"status": 200}}
        run["post"]["response"]["json"] = submitted
        run["history_polls"] = ["{}", "entry"]
    return dict(run)


def engine(url: str, connection: Connection, workflow: Any, nodes: list[dict[str, Any]] | None = None) -> ComfyUIEngine:
    config = ImagesConfig.model_validate(
        {"COMFYUI_BASE_URL": url, "COMFYUI_WORKFLOW": workflow, "COMFYUI_WORKFLOW_NODES": nodes or []}
    )
    return ComfyUIEngine(config, connection)


def server(url: str, connection: Connection) -> ComfyUIServer:
    return ComfyUIServer(connection, "comfyui", url)


async def replay(name: str, recorded: Recorded, serve: Serve, connect: Connect) -> EngineResult:
    run = run_of(name)
    recorded.run(run)
    workflow = run["post"]["request"]["json"]["prompt"]
    comfyui_engine = engine(serve(recorded.app()), connect(), workflow)
    return await comfyui_engine.generate(ImageRequest(job_id="a-job", prompt="x"))
